import { reason } from 'mproxy-base';
import type { Handle } from 'mproxy-flow';
import { happened, type Message, NOTIFY_FAILED } from './events.js';

/**
 * Reports start, liveness and stop to the service manager, if any (sd_notify(3), sd_watchdog_enabled(3)).
 * @returns a function that ends it
 */
export async function tellManager(
  handle: Handle,
  stop: AbortSignal,
  say: (message: Message) => void,
): Promise<() => void> {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID = process.pid } = process.env;
  if (!NOTIFY_SOCKET) return () => undefined;
  let reported = '';
  const fail = (error: unknown) => {
    const why = reason(error);
    if (why !== reported) say(happened(NOTIFY_FAILED, { socket: NOTIFY_SOCKET, reason: why }));
    reported = why;
  };
  const sender = await openSender(NOTIFY_SOCKET).catch(fail);
  if (!sender) return () => undefined;
  const notify = (state: string) => {
    try {
      sender(`${state}\n`);
    } catch (error) {
      fail(error);
    }
  };
  // A failed start is reported by the exit status.
  handle.ready.then(
    () => notify('READY=1'),
    () => undefined,
  );
  if (stop.aborted) notify('STOPPING=1');
  else stop.addEventListener('abort', () => notify('STOPPING=1'), { once: true });
  const granted = Number(WATCHDOG_USEC) / 1000;
  if (!(granted > 0) || Number(WATCHDOG_PID) !== process.pid) return () => undefined;
  // Half of the granted time, as sd_watchdog_enabled(3) recommends.
  const timer = setInterval(() => notify('WATCHDOG=1'), granted / 2);
  return () => clearInterval(timer);
}

/** Loaded only if there is a manager to notify. */
async function openSender(path: string): Promise<(text: string) => void> {
  const { loadLibc } = await import('mproxy-net/linux/libc');
  const { unixSender } = await import('mproxy-net/linux/unix');
  return unixSender(loadLibc(), path);
}
