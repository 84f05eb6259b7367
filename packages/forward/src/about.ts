import type { About } from 'mproxy-command';
import { FLAGS } from './flags.js';

export const ABOUT: About = {
  name: 'mproxy-forward',
  summary:
    'Forward TCP, TLS, UDP and multicast to UDP (unicast, broadcast or a multicast group), TCP and TLS.',
  flags: FLAGS,
  examples: [
    "mproxy-forward --tcp-connect-addr ais.example.net:5631 --udp-downstream-addr '239.1.1.1:9922,interface=eth0'",
    "mproxy-forward --udp-listen-addr '0.0.0.0:9920' --udp-downstream-addr '[::1]:9921' \\",
    "    --udp-downstream-addr 'localhost:9922' --tcp-connect-addr 'localhost:9925' --tee",
  ],
};
