#!/usr/bin/env node
import { runCommand } from 'mproxy-command';
import { ABOUT } from './about.js';
import type { GatewayOptions } from './options.js';

void runCommand({
  ...ABOUT,
  start: async (options: GatewayOptions, stop) => (await import('./index.js')).startGateway(options, stop),
});
