import type { Handle } from 'mproxy-flow';

const ON_WINDOWS = process.platform === 'win32';
/** On Windows: Ctrl-C, Ctrl-Break, console closed; SIGTERM kills a process (Node: process, signal events). */
const SIGNALS: NodeJS.Signals[] = ON_WINDOWS
  ? ['SIGINT', 'SIGBREAK', 'SIGHUP']
  : ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Listens for signals from now on. SIGINT, SIGTERM and SIGHUP stop the program; a second one ends it at once.
 * While it runs, SIGHUP reloads files and certificates instead, if it uses any.
 *
 * Node resets an ignored SIGHUP at its start: nohup(1) has no effect.
 */
export class Signals {
  readonly #stop = new AbortController();
  #handle: Handle | undefined;

  constructor() {
    for (const signal of SIGNALS)
      process.on(signal, () => {
        if (this.#stop.signal.aborted) raise(signal);
        else if (signal !== 'SIGHUP' || ON_WINDOWS || !this.#handle?.reload()) this.#stop.abort();
      });
  }

  /** Aborted when the program must stop. */
  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** The program has started. Before that SIGHUP stops it: it is not yet known whether it can reload. */
  runs(handle: Handle): void {
    this.#handle = handle;
  }
}

/** Ends the process by the signal: `process.exit` would wait for a thread in a system call. */
function raise(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
