#!/usr/bin/env node
import { runCommand } from 'mproxy-command';
import { ABOUT } from './about.js';
import type { GatewayOptions } from './options.js';

void runCommand({
  ...ABOUT,
  print: printCheck,
  async start(options: GatewayOptions, stop) {
    const { startFirstThread } = await import('./first-thread.js');
    startFirstThread();
    return (await import('./index.js')).startGateway(options, stop);
  },
});

/** With `--check`: the effective configuration. */
async function printCheck({ check, ...options }: GatewayOptions & { check?: boolean }) {
  if (!check) return undefined;
  const { readOptions } = await import('./options.js');
  const { showConfig } = await import('./config/show.js');
  return showConfig(await readOptions(options));
}
