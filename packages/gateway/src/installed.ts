import { Worker, type WorkerOptions } from 'node:worker_threads';

/** What the gateway loads by its place, as files: of the installed package, or of the bundle beside each other. */

/** Starts the thread of a worker. */
export function startWorker(options: WorkerOptions): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), options);
}

/** Loads a module of the user. @param url of its file */
export function importModule(url: string): Promise<Record<string, unknown>> {
  return import(url);
}
