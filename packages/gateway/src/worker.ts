import { parentPort } from 'node:worker_threads';
import { GatewayWorker } from './gateway-worker.js';
import type { Order, WorkerTask } from './worker-messages.js';

/** The thread of a worker. It loads what it needs, and waits for its task. */

const port = parentPort!;
let worker: Promise<GatewayWorker> | undefined;
port.on('message', (message: WorkerTask | Order) => {
  if (!worker) worker = begin(message as WorkerTask);
  else void worker.then((begun) => begun.take(message as Order));
});

async function begin(task: WorkerTask): Promise<GatewayWorker> {
  if (task.config.service === undefined) return new GatewayWorker(port, task);
  // The module of the user has mproxy-service from where it is installed. There must be one in this thread: a bundle leaves its own.
  const installed = await import('mproxy-gateway/gateway-worker');
  return new installed.GatewayWorker(port, task);
}
