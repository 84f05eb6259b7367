import { writeSync } from 'node:fs';
import { reopenTerminal } from 'mproxy-flow/endpoints/file/terminal';
import { failed } from './events.js';
import { formatMessage, type LogFormat } from './log-format.js';

/** How long to retry at a full pipe or a stopped terminal, in milliseconds. */
const MAX_MS = 500;
const RETRY_MS = 10;

/** Ends the process by SIGABRT, after writing the stack of an internal error. */
export function abortWith(command: string, format: LogFormat, error: unknown): never {
  const stack = error instanceof Error ? (error.stack ?? String(error)) : String(error);
  const message = `internal error; please report it with these lines:\n${stack}`;
  writeAll(formatMessage(format, command, failed({ code: 'MPROXY_INTERNAL', message })));
  process.abort();
}

/** Writes to stderr synchronously: nothing runs after this. */
function writeAll(text: string): void {
  const bytes = Buffer.from(text);
  const until = performance.now() + MAX_MS;
  const stderr = reopenTerminal(2) ?? 2;
  for (let at = 0; at < bytes.length && performance.now() < until; ) {
    try {
      at += writeSync(stderr, bytes, at);
    } catch (error) {
      // The reader is gone.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}
