import { createRequire } from 'node:module';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import type { Koffi } from './koffi.js';

/** The two parts of the engine that are not imports, where they are files of installed packages. */

/** @throws when it is not installed, does not know this machine, or no thread can start as the current directory was removed */
export function loadKoffi(): Koffi {
  process.cwd();
  return createRequire(import.meta.url)('koffi');
}

export function startWorker(options: WorkerOptions): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), options);
}
