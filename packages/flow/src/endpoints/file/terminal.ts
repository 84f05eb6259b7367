import { close, constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { throwInternal } from 'mproxy-base';

/** Delay before a write is retried after EAGAIN: doubles from the first to the last, in milliseconds. */
const FIRST_RETRY_MS = 1;
const LAST_RETRY_MS = 20;
/** Bytes per write(2), and milliseconds until the event loop runs: a slow console never returns EAGAIN. */
const PIECE = 4096;
const YIELD_MS = 1;
/** /dev/ptmx, 5:2 (Linux, admin-guide/devices.txt): reopening creates another pseudo-terminal (ptmx(4)). */
const PTMX = 0x502;

/**
 * Writes to a terminal without blocking. Node's own stream blocks the program while the terminal is stopped
 * (Ctrl-S) or its other side does not read. With another process waiting on the same terminal, poll(2) does
 * not report it writable: writes are retried by a timer.
 */
export class TerminalStream extends Writable {
  #retry: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  /** Last return to the event loop, by `performance.now()`. */
  #lastYield = 0;

  /** @param fd opened with O_NONBLOCK for this stream alone; closed with it */
  constructor(private readonly fd: number) {
    super();
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#put(bytes, FIRST_RETRY_MS, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#retry);
    clearImmediate(this.#immediate);
    close(this.fd, (failed) => done(error ?? failed));
  }

  #put(bytes: Buffer, retryMs: number, done: (error?: Error | null) => void): void {
    let at = 0;
    try {
      while (at < bytes.length) {
        if (performance.now() - this.#lastYield > YIELD_MS) {
          this.#putLater(bytes.subarray(at), done);
          return;
        }
        at += writeSync(this.fd, bytes, at, Math.min(PIECE, bytes.length - at));
      }
    } catch (error) {
      const busy = (error as NodeJS.ErrnoException).code === 'EAGAIN';
      const next = at > 0 ? FIRST_RETRY_MS : Math.min(2 * retryMs, LAST_RETRY_MS);
      if (busy) this.#retry = setTimeout(() => this.#put(bytes.subarray(at), next, done), next);
      else done(error as Error);
      return;
    }
    done();
  }

  #putLater(bytes: Buffer, done: (error?: Error | null) => void): void {
    this.#immediate = setImmediate(() => {
      this.#lastYield = performance.now();
      this.#put(bytes, FIRST_RETRY_MS, done);
    });
  }
}

/**
 * Reopens the terminal of a descriptor for non-blocking writes. O_NONBLOCK belongs to the open file
 * description (open(2), fcntl(2)), which is shared with the shell that started this program.
 * @returns undefined if the descriptor is not a terminal, or it cannot be reopened: it belongs to another
 * user and is not the controlling terminal, or there is no /proc
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

/** Whether a device is the controlling terminal, which /dev/tty opens (tty(4), proc_pid_stat(5)). */
function isControlling(device: number): boolean {
  try {
    const [, fields = ''] = readFileSync('/proc/self/stat', 'latin1').split(/\) (?=[^)]*$)/);
    return Number(fields.split(' ')[4]) === device;
  } catch (error) {
    throwInternal(error);
    return false;
  }
}

/** stdout (1) or stderr (2); a terminal as a non-blocking stream if it can be reopened. */
export function standardStream(fd: 1 | 2): Writable {
  const terminal = reopenTerminal(fd);
  if (terminal !== undefined) return new TerminalStream(terminal);
  return fd === 1 ? process.stdout : process.stderr;
}
