#!/usr/bin/env node
import { runCommand } from 'mproxy-command';
import { ABOUT } from './about.js';
import type { ServerOptions } from './index.js';

void runCommand({
  ...ABOUT,
  start: async (options: ServerOptions, stop) => (await import('./index.js')).startServer(options, stop),
});
