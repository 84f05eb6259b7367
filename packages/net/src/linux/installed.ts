import { createRequire } from 'node:module';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import type { Koffi } from './koffi.js';

/** The two parts of the engine that are not imports, as files of installed packages. By name: this file may be part of a bundle. */

const require = createRequire(import.meta.url);

/** @throws when koffi does not load, or the current directory was removed: no thread can start */
export function loadKoffi(): Koffi {
  process.cwd();
  return createRequire(require.resolve('mproxy-net'))('koffi');
}

export function startWorker(options: WorkerOptions): Worker {
  return new Worker(require.resolve('mproxy-net/linux/worker'), options);
}
