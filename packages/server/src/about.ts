import type { About } from 'mproxy-command';
import { FLAGS } from './flags.js';

export const ABOUT: About = {
  name: 'mproxy-server',
  summary: 'Collect UDP (unicast or multicast), TCP and TLS into files.',
  hangup: 'reopens the files (for logrotate) and reloads the certificates of tls:// listeners',
  flags: FLAGS,
  examples: [
    'mproxy-server --listen-addr localhost:9920 --path streamoutput.log --tee',
    "mproxy-server --path logfile.log --listen-addr '127.0.0.1:9920' --listen-addr '[::1]:9921'",
    "mproxy-server --path ais.log --listen-addr '239.1.1.1:9922,interface=eth0'",
  ],
};
