import { closeSync, constants, openSync, statSync, writevSync } from 'node:fs';
import { isatty } from 'node:tty';
import type { Frame } from 'mproxy-framing';
import type { Batch } from 'mproxy-udp';
import { sinkCounts } from '../counts.js';
import { failure, reason } from '../errors.js';
import type { Service } from '../service.js';
import { NEWLINE, type Sink, toStream } from '../sink.js';
import { showMemory } from '../units.js';
import { openStreamSink, type StreamSink } from './stream.js';

/** Bytes kept in memory while the file cannot be written; beyond it whole datagrams are lost. */
const MEMORY_LIMIT = 64 * 1024 * 1024;
/** Bytes gathered at most before they are written. */
const GATHER_LIMIT = 1024 * 1024;
/** Buffers that one writev(2) takes (IOV_MAX). */
const IOV_MAX = 1024;
const RETRY_MS = 1000;
/** A device that takes nothing now (EAGAIN) is asked again soon. */
const BUSY_MS = 10;

/** A file that is appended to, or a device. What cannot be written is kept, up to a bound, and tried again. */
export class FileSink implements Sink {
  readonly counts = sinkCounts();
  readonly dropReason = 'it could not be written';
  #fd: number;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #retry: NodeJS.Timeout | undefined;
  /** The error that stands between us and the file, by its code. */
  #trouble: string | undefined;

  constructor(
    private readonly service: Service,
    readonly name: string,
    private readonly frame: Frame,
  ) {
    this.#fd = openAppend(name);
    service.onReload(() => this.#reopen());
  }

  write(batch: Batch): void {
    if (this.#trouble !== undefined && this.#bytes + batch.bytes > MEMORY_LIMIT) {
      this.counts.dropped += batch.datagrams;
      return;
    }
    toStream(batch, this.frame, (piece) => {
      this.#pieces.push(piece);
      this.#bytes += piece.length;
    });
    if (this.#bytes >= GATHER_LIMIT) this.flush();
  }

  flush(): void {
    if (this.#retry === undefined) this.#writeOut();
  }

  room(): undefined {
    return undefined;
  }

  async close(): Promise<void> {
    clearTimeout(this.#retry);
    this.#writeOut();
    clearTimeout(this.#retry);
    const lost = this.#pieces.filter(isDatagram).length;
    this.counts.dropped += lost;
    closeSync(this.#fd);
    if (this.counts.dropped > 0) {
      this.service.fail(
        'MPROXY_WRITE',
        'writing',
        this.name,
        `${this.counts.dropped} datagrams could not be written`,
      );
    }
  }

  #writeOut(): void {
    this.#retry = undefined;
    try {
      while (this.#pieces.length > 0) {
        const pieces = this.#pieces.length > IOV_MAX ? this.#pieces.slice(0, IOV_MAX) : this.#pieces;
        this.#written(writevSync(this.#fd, pieces));
      }
      if (this.#trouble !== undefined) this.service.notice(`writing: ${this.name}: goes on`);
      this.#trouble = undefined;
    } catch (error) {
      this.#failed(error as NodeJS.ErrnoException);
    }
  }

  #written(bytes: number): void {
    this.counts.bytes += bytes;
    this.#bytes -= bytes;
    let left = bytes;
    let whole = 0;
    while (whole < this.#pieces.length && left >= this.#pieces[whole]!.length)
      left -= this.#pieces[whole++]!.length;
    this.counts.datagrams += this.#pieces.slice(0, whole).filter(isDatagram).length;
    this.#pieces = this.#pieces.slice(whole);
    if (left > 0) this.#pieces[0] = this.#pieces[0]!.subarray(left);
  }

  #failed(error: NodeJS.ErrnoException): void {
    const code = error.code ?? error.message;
    const busy = code === 'EAGAIN';
    this.#retry = setTimeout(() => this.#writeOut(), busy ? BUSY_MS : RETRY_MS);
    if (this.#trouble === code) return;
    this.#trouble = code;
    if (busy) return;
    this.counts.errors[code] = (this.counts.errors[code] ?? 0) + 1;
    const bound = showMemory(MEMORY_LIMIT);
    this.service.loss(
      `writing: ${this.name}: ${reason(error)}; keeping up to ${bound} in memory, trying every second`,
    );
  }

  /** logrotate moved the file away: what follows goes to a new one of that name. */
  #reopen(): void {
    this.#writeOut();
    try {
      const fd = openAppend(this.name);
      closeSync(this.#fd);
      this.#fd = fd;
      this.service.notice(`writing: ${this.name}: reopened`);
    } catch (error) {
      this.service.loss(`reopening: ${this.name}: ${reason(error)}; going on with the old file`);
    }
  }
}

function isDatagram(piece: Buffer): boolean {
  return piece !== NEWLINE;
}

/** Opened without blocking: a device that waits for its other end must not stop the program. */
function openAppend(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = constants;
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0o666);
}

/** Whether a path is a file, or will be: then several listeners get a file each. */
export function isRegular(path: string): boolean {
  const stat = path === '-' ? undefined : statSync(path, { throwIfNoEntry: false });
  return path !== '-' && (stat === undefined || stat.isFile() || stat.isDirectory());
}

/**
 * Opens what a path names, to append to: a file, a device, a FIFO, a terminal, or `-` for stdout.
 * @throws MPROXY_FILE
 */
export function openPathSink(service: Service, path: string, frame: Frame): FileSink | StreamSink {
  if (path === '-') return service.stdout(frame, false);
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isFIFO() || (stat?.isCharacterDevice() && isTerminal(path)))
      return openStreamSink(service, path, frame);
    return service.sink(new FileSink(service, path, frame));
  } catch (error) {
    throw failure('MPROXY_FILE', 'opening', path, error);
  }
}

function isTerminal(path: string): boolean {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    return isatty(fd);
  } finally {
    closeSync(fd);
  }
}
