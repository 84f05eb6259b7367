import { getAsset } from 'node:sea';
import { constants, Script } from 'node:vm';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** What the gateway loads by its place, in a standalone executable. */

/** Starts the thread of a worker, whose script is embedded. */
export function startWorker(options: WorkerOptions): Worker {
  return new Worker(getAsset('gateway-worker.js', 'utf8'), { ...options, eval: true });
}

/** Loads a module of the user: `import()` in an embedded script finds parts of Node alone. @param url of its file */
export function importModule(url: string): Promise<Record<string, unknown>> {
  const importModuleDynamically = constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  return new Script(`import(${JSON.stringify(url)})`, { importModuleDynamically }).runInThisContext();
}
