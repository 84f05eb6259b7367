#!/usr/bin/env node
import { runCommand } from 'mproxy-command';
import { ABOUT } from './about.js';
import type { ReverseOptions } from './options.js';

void runCommand({
  ...ABOUT,
  start: async (options: ReverseOptions, stop) => (await import('./index.js')).startReverse(options, stop),
});
