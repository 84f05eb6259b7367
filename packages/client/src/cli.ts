#!/usr/bin/env node
import { runCommand } from 'mproxy-command';
import { ABOUT } from './about.js';
import type { ClientHandle, ClientOptions } from './index.js';
import { showProgress } from './progress.js';

void runCommand({
  ...ABOUT,
  start: async (options: ClientOptions, stop) => (await import('./index.js')).startClient(options, stop),
  progress: (handle, options: ClientOptions & { progress?: boolean }, messages) =>
    showProgress(handle as ClientHandle, options.progress ?? false, messages),
});
