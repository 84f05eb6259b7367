import { createRequire } from 'node:module';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import type { Koffi } from './koffi.js';

/** The two parts of the engine that are not imports, as files of installed packages. */

/** @throws when koffi does not load, or the current directory was removed: no thread can start */
export function loadKoffi(): Koffi {
  process.cwd();
  return createRequire(import.meta.url)('koffi');
}

export function startWorker(options: WorkerOptions): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), options);
}
