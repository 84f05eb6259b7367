import { getAsset } from 'node:sea';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** The two parts of the status that are not imports, as embedded in a standalone executable. */

export function readPage(): string {
  return getAsset('page.html', 'utf8');
}

export function startWorker(options: WorkerOptions): Worker {
  return new Worker(getAsset('status.js', 'utf8'), { ...options, eval: true });
}
