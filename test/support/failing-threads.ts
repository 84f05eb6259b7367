import { syncBuiltinESMExports } from 'node:module';
import threads, { type WorkerOptions } from 'node:worker_threads';

/** To be loaded first. Receiving threads of this process then fail when they receive what `failing-thread.ts` says. */

/** Enough for a receiving thread; little, so that it is soon exhausted. In megabytes. */
const HEAP = 48;
const { Worker } = threads;

threads.Worker = class extends Worker {
  constructor(file: string | URL, options: WorkerOptions = {}) {
    if (!String(file).endsWith('/linux/worker.js')) super(file, options);
    else {
      const resourceLimits = { ...options.resourceLimits, maxOldGenerationSizeMb: HEAP };
      super(new URL('./failing-thread.js', import.meta.url), {
        ...options,
        argv: [String(file)],
        resourceLimits,
      });
    }
  }
};
syncBuiltinESMExports();
