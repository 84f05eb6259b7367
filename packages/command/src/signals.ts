import type { Handle } from 'mproxy-route';

/** @returns aborted by SIGINT or SIGTERM; a second one ends the process at once */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) endAtOnce(signal);
      stop.abort();
    });
  }
  return stop.signal;
}

/** SIGHUP opens files again and reads certificates again, where a command has any. */
export function reloadOnHangup(handle: Handle): void {
  process.on('SIGHUP', () => handle.reload());
}

/** The signal's own way: `process.exit` would wait for a thread in a system call, or in a look-up. */
export function endAtOnce(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
