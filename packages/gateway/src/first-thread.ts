import type { Worker } from 'node:worker_threads';
import { failure } from 'mproxy-base';
import { startThread } from './worker-thread.js';

let first: Worker | undefined;

/**
 * Starts the thread of the first worker before the gateway is loaded: both load their modules at the same time.
 * @throws MPROXY_FILE if the current folder was removed: no thread of Node can be in it
 */
export function startFirstThread(): void {
  try {
    process.cwd();
  } catch (error) {
    throw failure('MPROXY_FILE', 'current folder', '.', error, 'change to a folder that exists');
  }
  first = startThread();
}

/** A thread for the first worker of a gateway: the one that was started, or a new one. */
export function takeFirstThread(): Worker {
  const thread = first ?? startThread();
  first = undefined;
  return thread;
}
