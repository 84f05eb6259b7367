import type { About } from 'mproxy-command';
import { FLAGS } from './flags.js';

export const ABOUT: About = {
  name: 'mproxy-reverse',
  summary:
    'Send data received by TCP, TLS and UDP to a multicast group, and serve the group to any number of TCP, TLS and UDP ' +
    'consumers.',
  hangup: 'reloads the certificates of tls:// listeners; without such listeners it stops the program',
  flags: FLAGS,
  examples: [
    "mproxy-reverse --udp-listen-addr '0.0.0.0:9920' --tcp-output-addr '[::1]:9921' --multicast-addr '224.0.0.1:9922'",
    "mproxy-reverse --multicast-addr '239.1.1.1:9922,interface=eth0' --tcp-output-addr tls://0.0.0.0:9443 \\",
    '    --tls-cert feed.pem --tls-key feed.key --allow 192.168.0.0/16',
  ],
};
