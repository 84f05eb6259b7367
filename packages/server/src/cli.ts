#!/usr/bin/env node
import { runCommand } from 'mproxy-command';
import { FLAGS } from './flags.js';
import type { ServerOptions } from './index.js';

await runCommand({
  name: 'mproxy-server',
  summary: 'Collect UDP, unicast or multicast, into files. SIGHUP opens the files again (logrotate).',
  flags: FLAGS,
  examples: [
    'mproxy-server --listen-addr localhost:9920 --path streamoutput.log --tee',
    "mproxy-server --path logfile.log --listen-addr '127.0.0.1:9920' --listen-addr '[::1]:9921'",
    "mproxy-server --path ais.log --listen-addr '239.1.1.1:9922,interface=eth0'",
  ],
  reloads: true,
  start: async (options: ServerOptions, stop) => (await import('./index.js')).startServer(options, stop),
});
