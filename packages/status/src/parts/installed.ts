import { readFileSync } from 'node:fs';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** The two parts of the status that are not imports, as files of the installed package. */

export function readPage(): string {
  return readFileSync(new URL('../../page.html', import.meta.url), 'utf8');
}

export function startWorker(options: WorkerOptions): Worker {
  return new Worker(new URL('../worker.js', import.meta.url), options);
}
