import type { Handle } from 'mproxy-route';

/** SIGINT and SIGTERM stop the program, and end it at once the second time. SIGHUP reloads where that means something. */
export function handleSignals(handle: Handle, reloads: boolean): void {
  let asked = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (asked) endAtOnce(signal);
      asked = true;
      // The command waits for `done`, which tells how it ended.
      handle.stop().catch(() => undefined);
    });
  }
  if (reloads) process.on('SIGHUP', () => handle.reload());
}

/** The signal's own way: `process.exit` would wait for a thread in a system call, or in a look-up. */
function endAtOnce(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
