#!/usr/bin/env node
import { runCommand } from 'mproxy-command';
import { ABOUT } from './about.js';
import type { ForwardOptions } from './options.js';

void runCommand({
  ...ABOUT,
  start: async (options: ForwardOptions, stop) => (await import('./index.js')).startForward(options, stop),
});
