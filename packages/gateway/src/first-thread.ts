import type { Worker } from 'node:worker_threads';
import { startThread } from './worker-thread.js';

let first: Worker | undefined;

/** Starts the thread of the first worker before the gateway is loaded: both load their modules at the same time. */
export function startFirstThread(): void {
  first = startThread();
}

/** A thread for the first worker of a gateway: the one that was started, or a new one. */
export function takeFirstThread(): Worker {
  const thread = first ?? startThread();
  first = undefined;
  return thread;
}
