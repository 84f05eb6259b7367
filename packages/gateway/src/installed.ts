import { Worker, type WorkerOptions } from 'node:worker_threads';

/** What the gateway loads by its place, as files of the installed package. */

/** Starts the thread of a worker. Its script is one file: each thread would load hundreds of modules again, which takes it longer than to begin. */
export function startWorker(options: WorkerOptions): Worker {
  return new Worker(new URL('../bundle/worker.js', import.meta.url), options);
}

/** Loads a module of the user. @param url of its file */
export function importModule(url: string): Promise<Record<string, unknown>> {
  return import(url);
}
