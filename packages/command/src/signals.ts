import type { Handle } from 'mproxy-flow';

const ON_WINDOWS = process.platform === 'win32';
/** On Windows Ctrl-C, Ctrl-Break and the end of the console; SIGTERM ends a process there at once (Node: process, signal events). */
const SIGNALS: NodeJS.Signals[] = ON_WINDOWS
  ? ['SIGINT', 'SIGBREAK', 'SIGHUP']
  : ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Listens for signals from now on. SIGINT, SIGTERM and SIGHUP ask the program to stop; a second one ends it at once. Once
 * it runs, SIGHUP has it read files and certificates again, where it has any.
 *
 * Node discards a SIGHUP that was ignored when it was started: nohup(1) cannot protect it.
 */
export class Signals {
  readonly #stop = new AbortController();
  #handle: Handle | undefined;

  constructor() {
    for (const signal of SIGNALS)
      process.on(signal, () => {
        if (this.#stop.signal.aborted) endAtOnce(signal);
        else if (signal !== 'SIGHUP' || ON_WINDOWS || !this.#handle?.reload()) this.#stop.abort();
      });
  }

  /** Aborted when the program is asked to stop. */
  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** The program has started. Before that SIGHUP stops it: it is not known yet whether it has anything to read again. */
  runs(handle: Handle): void {
    this.#handle = handle;
  }
}

/** The signal's own way: `process.exit` would wait for a thread in a system call. */
function endAtOnce(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
