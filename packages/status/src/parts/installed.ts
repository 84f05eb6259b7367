import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** The two parts of the status that are not imports, as files of the installed package. By name: this file may be part of a bundle. */

const require = createRequire(import.meta.url);

export function readPage(): string {
  return readFileSync(join(dirname(require.resolve('mproxy-status')), '../page.html'), 'utf8');
}

export function startWorker(options: WorkerOptions): Worker {
  return new Worker(require.resolve('mproxy-status/worker'), options);
}
