#!/usr/bin/env node
import { runCommand } from 'mproxy-command';
import { FLAGS } from './flags.js';
import type { ClientHandle, ClientOptions } from './index.js';
import { showProgress } from './progress.js';

await runCommand({
  name: 'mproxy-client',
  summary: 'Stream a file, a pipe, a device or stdin to UDP: unicast, broadcast or multicast.',
  flags: FLAGS,
  examples: [
    'tail -f app.log | mproxy-client --path - --server-addr localhost:9920',
    "mproxy-client --path /dev/random --server-addr '127.0.0.1:9920' --server-addr '[::1]:9921'",
    "mproxy-client --path ais.log --server-addr '239.1.1.1:9922,interface=eth0,ttl=4' --rate 2Mbps",
  ],
  reloads: false,
  start: async (options: ClientOptions, stop) => (await import('./index.js')).startClient(options, stop),
  progress: (handle, options: ClientOptions & { progress?: boolean }) =>
    showProgress(handle as ClientHandle, options.progress ?? false),
});
