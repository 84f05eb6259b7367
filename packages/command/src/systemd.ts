import { reason } from 'mproxy-base';
import type { Handle } from 'mproxy-flow';

/**
 * Tells the program manager that started this process when it is ready, that it is alive and that it is stopping, as
 * far as it wants to know (sd_notify(3), sd_watchdog_enabled(3)).
 * @returns ends it
 */
export async function tellManager(
  handle: Handle,
  stop: AbortSignal,
  say: (text: string) => void,
): Promise<() => void> {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID = process.pid } = process.env;
  if (!NOTIFY_SOCKET) return () => undefined;
  let told = '';
  const fail = (error: unknown) => {
    const why = reason(error);
    if (why !== told) say(`NOTIFY_SOCKET: ${NOTIFY_SOCKET}: ${why}; use Type=exec`);
    told = why;
  };
  const sender = await openSender(NOTIFY_SOCKET).catch(fail);
  if (!sender) return () => undefined;
  const tell = (state: string) => {
    try {
      sender(`${state}\n`);
    } catch (error) {
      fail(error);
    }
  };
  // A start that failed is told by the exit status.
  handle.ready.then(
    () => tell('READY=1'),
    () => undefined,
  );
  if (stop.aborted) tell('STOPPING=1');
  else stop.addEventListener('abort', () => tell('STOPPING=1'), { once: true });
  const granted = Number(WATCHDOG_USEC) / 1000;
  if (!(granted > 0) || Number(WATCHDOG_PID) !== process.pid) return () => undefined;
  // Half the time that it grants, as sd_watchdog_enabled(3) asks for.
  const timer = setInterval(() => tell('WATCHDOG=1'), granted / 2);
  return () => clearInterval(timer);
}

/** Loaded only where there is somebody to tell. */
async function openSender(path: string): Promise<(text: string) => void> {
  const { loadLibc } = await import('mproxy-net/linux/libc');
  const { unixSender } = await import('mproxy-net/linux/unix');
  return unixSender(loadLibc(), path);
}
