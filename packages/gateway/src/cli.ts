#!/usr/bin/env node
import { runCommand } from 'mproxy-command';
import type { Notice } from 'mproxy-flow';
import { ABOUT } from './about.js';
import type { GatewayConfig } from './config/types.js';
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

/** With `--check`: the effective configuration, and on stderr what a start would warn of. */
async function printCheck(
  { check, ...options }: GatewayOptions & { check?: boolean },
  onNotice: (notice: Notice) => void,
) {
  if (!check) return undefined;
  const { readOptions } = await import('./options.js');
  const { showConfig } = await import('./config/show.js');
  const config = await readOptions(options);
  if (config.certificates.length > 0) await warnOfExpired(config, onNotice);
  return showConfig(config);
}

async function warnOfExpired(config: GatewayConfig, onNotice: (notice: Notice) => void): Promise<void> {
  const { noticeOf } = await import('mproxy-flow/events');
  const { Certificates } = await import('./certificates.js');
  const { CERTIFICATE_EXPIRED } = await import('./events.js');
  for (const one of new Certificates(config).expired()) onNotice(noticeOf(CERTIFICATE_EXPIRED, one));
}
