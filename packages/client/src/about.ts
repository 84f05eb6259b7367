import type { About } from 'mproxy-command';
import { FLAGS } from './flags.js';

export const ABOUT: About = {
  name: 'mproxy-client',
  summary: 'Stream a file, a pipe, a device or stdin to UDP (unicast, broadcast or multicast), TCP and TLS.',
  flags: FLAGS,
  examples: [
    'tail -f app.log | mproxy-client --path - --server-addr localhost:9920',
    "mproxy-client --path /dev/random --server-addr '127.0.0.1:9920' --server-addr '[::1]:9921'",
    "mproxy-client --path ais.log --server-addr '239.1.1.1:9922,interface=eth0,ttl=4' --rate 2Mbps",
  ],
};
