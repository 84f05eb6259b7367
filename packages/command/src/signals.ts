import type { Handle } from 'mproxy-route';

/** SIGINT and SIGTERM stop the program, and end it at once the second time. SIGHUP reloads where that means something. */
export function handleSignals(handle: Handle, reloads: boolean): void {
  let asked = false;
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.on(signal, () => {
      // 128 and the signal's number, as a shell tells of a program that a signal ended.
      if (asked) process.exit(128 + number);
      asked = true;
      // The command waits for `done`, which tells how it ended.
      handle.stop().catch(() => undefined);
    });
  }
  if (reloads) process.on('SIGHUP', () => handle.reload());
}
