import { close, constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { throwInternal } from 'mproxy-base';

/** How soon a terminal that takes nothing is tried again, in milliseconds: soon at first, then less and less often. */
const FIRST_RETRY_MS = 1;
const LAST_RETRY_MS = 20;
/** Bytes written at once, and how long until the event loop has its turn: a console draws slowly, and never answers EAGAIN. */
const PIECE = 4096;
const TURN_MS = 1;
/** /dev/ptmx, 5:2 (Linux, admin-guide/devices.txt): who opens it anew gets another pseudo-terminal (ptmx(4)). */
const PTMX = 0x502;

/**
 * A terminal, written to without ever waiting for it. Node's own stream blocks the whole program while a terminal is
 * stopped (Ctrl-S), or its other side does not read. The kernel does not say when it can be written to again where
 * another process waits for the same: it is tried again.
 */
export class TerminalStream extends Writable {
  #retry: NodeJS.Timeout | undefined;
  #more: NodeJS.Immediate | undefined;
  /** When the event loop last had its turn, by `performance.now()`. */
  #turn = 0;

  /** @param fd of its own, opened with O_NONBLOCK; closed with the stream */
  constructor(private readonly fd: number) {
    super();
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#put(bytes, FIRST_RETRY_MS, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#retry);
    clearImmediate(this.#more);
    close(this.fd, (failed) => done(error ?? failed));
  }

  #put(bytes: Buffer, retryMs: number, done: (error?: Error | null) => void): void {
    let at = 0;
    try {
      while (at < bytes.length) {
        if (performance.now() - this.#turn > TURN_MS) {
          this.#nextTurn(bytes.subarray(at), done);
          return;
        }
        at += writeSync(this.fd, bytes, at, Math.min(PIECE, bytes.length - at));
      }
    } catch (error) {
      const later = (error as NodeJS.ErrnoException).code === 'EAGAIN';
      const next = at > 0 ? FIRST_RETRY_MS : Math.min(2 * retryMs, LAST_RETRY_MS);
      if (later) this.#retry = setTimeout(() => this.#put(bytes.subarray(at), next, done), next);
      else done(error as Error);
      return;
    }
    done();
  }

  #nextTurn(bytes: Buffer, done: (error?: Error | null) => void): void {
    this.#more = setImmediate(() => {
      this.#turn = performance.now();
      this.#put(bytes, FIRST_RETRY_MS, done);
    });
  }
}

/**
 * Opens the terminal behind a descriptor anew, to write to without waiting. O_NONBLOCK belongs to an open file, which
 * other processes share: the shell that started this one must not find its terminal changed (open(2), fcntl(2)).
 * @returns a descriptor; undefined where the given one is no terminal, or its terminal cannot be opened again: it is
 * another user's and not that of this session, or the system has no /proc
 */
export function reopenTerminal(fd: number): number | undefined {
  if (!isatty(fd)) return undefined;
  const device = fstatSync(fd).rdev;
  if (device === PTMX) return undefined;
  return openToWrite(`/proc/self/fd/${fd}`) ?? (isControlling(device) ? openToWrite('/dev/tty') : undefined);
}

function openToWrite(path: string): number | undefined {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throwInternal(error);
    return undefined;
  }
}

/** Whether a device is the terminal of this session, which /dev/tty names, whosever it is (tty(4), proc_pid_stat(5)). */
function isControlling(device: number): boolean {
  try {
    const [, fields = ''] = readFileSync('/proc/self/stat', 'latin1').split(/\) (?=[^)]*$)/);
    return Number(fields.split(' ')[4]) === device;
  } catch (error) {
    throwInternal(error);
    return false;
  }
}

/** stdout (1) or stderr (2), as a stream that does not block where it can be had. */
export function standardStream(fd: 1 | 2): Writable {
  const terminal = reopenTerminal(fd);
  if (terminal !== undefined) return new TerminalStream(terminal);
  return fd === 1 ? process.stdout : process.stderr;
}
