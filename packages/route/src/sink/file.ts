import { closeSync, constants, openSync, statSync, writevSync } from 'node:fs';
import { isatty } from 'node:tty';
import { endsEveryDatagram, type Frame } from 'mproxy-framing';
import { type Batch, type HandedOver, ThreadFile } from 'mproxy-udp';
import { Backlog } from '../backlog.js';
import { type SinkCounts, sinkCounts } from '../counts.js';
import { failure, reason } from '../errors.js';
import type { Service } from '../service.js';
import { NEWLINE, type Sink, toStream } from '../sink.js';
import { showCount, showMemory } from '../units.js';
import { openStreamSink, type StreamSink } from './stream.js';

/** Bytes kept in memory while the file cannot be written; beyond it whole datagrams are lost. */
const MEMORY_LIMIT = 64 * 1024 * 1024;
/** Bytes gathered at most before they are written. */
const GATHER_LIMIT = 1024 * 1024;
/** Buffers that one writev(2) takes (IOV_MAX). */
const IOV_MAX = 1024;
/** A batch of so many bytes is worth a system call of its own, which spares a copy. */
const WORTH_A_CALL = 64 * 1024;
const RETRY_MS = 1000;
/** A device that takes nothing now (EAGAIN) is asked again soon. */
const BUSY_MS = 10;

/**
 * A file that is appended to, or a device. What cannot be written is kept, up to a bound, and tried again. A receiving
 * thread writes to it by itself, and hands over what it could not write.
 */
export class FileSink implements Sink {
  readonly dropReason = 'it could not be written';
  readonly #counts = sinkCounts();
  readonly #threads = new ThreadFile();
  readonly #backlog = new Backlog();
  #fd: number;
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

  get counts(): SinkCounts {
    const sum = { ...this.#counts };
    const { datagrams, bytes, dropped } = this.#threads.counts;
    sum.datagrams += datagrams;
    sum.bytes += bytes;
    sum.dropped += dropped;
    return sum;
  }

  inThread() {
    const target = this.#threads.target(this.#fd, endsEveryDatagram(this.frame));
    const handOver = (piece: HandedOver) => {
      for (const { bytes, datagrams } of this.#threads.take(piece))
        this.#add(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), datagrams);
      this.flush();
    };
    return { files: [{ target, handOver }] };
  }

  write(batch: Batch): void {
    const atOnce = batch.lent && batch.bytes >= WORTH_A_CALL && this.#backlog.empty;
    let kept = true;
    toStream(batch, this.frame, (slab, offset, length, datagrams) => {
      if (slab === NEWLINE) {
        if (kept) this.#add(NEWLINE, 0);
      } else {
        const piece = atOnce ? slab.subarray(offset, offset + length) : batch.keep(offset, length);
        kept = this.#add(piece, datagrams);
      }
    });
    if (atOnce || this.#backlog.bytes >= GATHER_LIMIT) this.flush();
    if (atOnce) this.#backlog.keep();
  }

  flush(): void {
    if (this.#retry === undefined) this.#writeOut();
  }

  room(): undefined {
    return undefined;
  }

  hurry(): void {}

  async close(): Promise<void> {
    this.#writeOut();
    clearTimeout(this.#retry);
    this.#counts.dropped += this.#backlog.datagrams;
    this.#backlog.clear();
    closeSync(this.#fd);
    const { dropped } = this.counts;
    if (dropped > 0) {
      this.service.fail(
        'MPROXY_WRITE',
        'writing',
        this.name,
        `${showCount(dropped, 'datagram')} could not be written`,
      );
    }
  }

  /** @returns false when there is no room for it any more */
  #add(piece: Buffer, datagrams: number): boolean {
    const full = this.#trouble !== undefined && this.#backlog.memory + piece.length > MEMORY_LIMIT;
    if (full) this.#counts.dropped += datagrams;
    else this.#backlog.add(piece, datagrams);
    return !full;
  }

  #writeOut(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    try {
      while (!this.#backlog.empty) {
        const bytes = writevSync(this.#fd, this.#backlog.first(IOV_MAX));
        this.#counts.bytes += bytes;
        this.#counts.datagrams += this.#backlog.written(bytes);
      }
    } catch (error) {
      this.#failed(error as NodeJS.ErrnoException);
      return;
    }
    if (this.#trouble !== undefined) this.service.notice(`writing: ${this.name}: goes on`);
    this.#trouble = undefined;
    this.#threads.allWritten();
  }

  #failed(error: NodeJS.ErrnoException): void {
    const code = error.code ?? error.message;
    const busy = code === 'EAGAIN';
    this.#retry = setTimeout(() => this.#writeOut(), busy ? BUSY_MS : RETRY_MS);
    if (this.#trouble === code) return;
    this.#trouble = code;
    if (busy) return;
    this.#counts.errors[code] = (this.#counts.errors[code] ?? 0) + 1;
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
      const { redirect } = this.service.engine;
      if (redirect) redirect(fd, this.#fd);
      closeSync(redirect ? fd : this.#fd);
      if (!redirect) this.#fd = fd;
      this.#backlog.beginAgain();
      this.service.notice(`writing: ${this.name}: reopened`);
    } catch (error) {
      this.service.loss(`reopening: ${this.name}: ${reason(error)}; going on with the old file`);
    }
  }
}

/** Opened without blocking: a device that waits for its other end must not stop the program. */
function openAppend(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = constants;
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0o666);
}

/** Whether a path is a file, or will be: then several listeners get a file each. @throws MPROXY_FILE */
export function isRegular(path: string): boolean {
  if (path === '-') return false;
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
    return stat === undefined || stat.isFile();
  } catch (error) {
    throw failure('MPROXY_FILE', 'opening', path, error);
  }
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
