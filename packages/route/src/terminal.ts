import { close, constants, openSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { throwInternal } from 'mproxy-udp/internal';

/** How soon a terminal that takes nothing is tried again, in milliseconds: soon at first, then less and less often. */
const FIRST_RETRY_MS = 1;
const LAST_RETRY_MS = 20;

/**
 * A terminal, written to without ever waiting for it. Node's own stream blocks the whole program while a terminal is
 * stopped (Ctrl-S), or its other side does not read. The kernel does not say when it can be written to again where
 * another process waits for the same: it is tried again.
 */
export class TerminalStream extends Writable {
  #retry: NodeJS.Timeout | undefined;

  /** @param fd of its own, opened with O_NONBLOCK; closed with the stream */
  constructor(private readonly fd: number) {
    super();
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#put(bytes, FIRST_RETRY_MS, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#retry);
    close(this.fd, (failed) => done(error ?? failed));
  }

  #put(bytes: Buffer, retryMs: number, done: (error?: Error | null) => void): void {
    let at = 0;
    try {
      while (at < bytes.length) at += writeSync(this.fd, bytes, at);
    } catch (error) {
      const later = (error as NodeJS.ErrnoException).code === 'EAGAIN';
      const next = at > 0 ? FIRST_RETRY_MS : Math.min(2 * retryMs, LAST_RETRY_MS);
      if (later) this.#retry = setTimeout(() => this.#put(bytes.subarray(at), next, done), next);
      else done(error as Error);
      return;
    }
    done();
  }
}

/**
 * Opens the terminal behind a descriptor anew, to write to without waiting. O_NONBLOCK belongs to an open file, which
 * other processes share: the shell that started this one must not find its terminal changed (open(2), fcntl(2)).
 * @returns a descriptor; undefined where the given one is no terminal, or its terminal cannot be opened again: it is
 * another user's (su(1)), or the system has no /proc
 */
export function reopenTerminal(fd: number): number | undefined {
  if (!isatty(fd)) return undefined;
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throwInternal(error);
    return undefined;
  }
}

/** stdout (1) or stderr (2), as a stream that does not block where it can be had. */
export function standardStream(fd: 1 | 2): Writable {
  const terminal = reopenTerminal(fd);
  if (terminal !== undefined) return new TerminalStream(terminal);
  return fd === 1 ? process.stdout : process.stderr;
}
