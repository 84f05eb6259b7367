import { reason, showCount, throwInternal } from 'mproxy-base';
import type { Batch } from 'mproxy-framing';
import {
  ADDED_NEWLINE,
  encoded,
  endsEveryDatagram,
  type Frame,
  PIECE,
  type Sizes,
  type Take,
  toStream,
} from 'mproxy-framing';
import { type HandedOver, Progress, ThreadFile } from 'mproxy-net';
import { addError, type SinkCounts, sinkCounts } from '../../counts.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import { AppendFile } from './append.js';
import { Backlog } from './backlog.js';
import { FILE_REOPENED, REOPEN_FAILED, WRITE_FAILED, WRITE_RESUMED } from './events.js';
import { inPieces } from './hand-over.js';
import type { Rotation } from './rotation/options.js';
import { Rotator } from './rotation/rotator.js';

/** Bytes kept in memory while the file cannot be written; beyond this, whole datagrams are dropped. */
const MEMORY_LIMIT = 64 * 1024 * 1024;
/** Kept bytes at which a source that can wait does so, while the file cannot be written. */
const WAIT_AT = 1024 * 1024;
/** Gathered bytes that trigger a write. */
const GATHER_LIMIT = 1024 * 1024;
/** Buffers that one writev(2) takes (IOV_MAX). */
const IOV_MAX = 1024;
/** A batch of at least this many bytes is written directly: one system call is cheaper than a copy. */
const DIRECT_WRITE_SIZE = 32 * 1024;
const RETRY_MS = 1000;
/** Retry after EAGAIN from a device. */
const EAGAIN_RETRY_MS = 10;
/** Retry while a thread holds the file lock. */
const LOCK_RETRY_MS = 1;

/**
 * Appends to a file or device. Unwritten bytes are kept, up to a limit, and retried. A receiving thread
 * writes directly, and hands over the bytes that it could not write.
 */
export class FileSink implements Sink {
  readonly dropReason = 'it could not be written';
  readonly #counts = sinkCounts();
  readonly #threads = new ThreadFile();
  readonly #backlog = new Backlog();
  readonly #file: AppendFile;
  readonly #rotator: Rotator | undefined;
  /** Maximum size of joined datagrams in bytes. With rotation, 0: the file may end after any datagram. */
  readonly #maxPiece: number;
  /** A rotation is due, by the clock or as a retry. */
  #due = false;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
  /** Code of the error that blocks writing. */
  #errorCode: string | undefined;
  #aborted = false;
  readonly #progress = new Progress();

  constructor(
    private readonly program: Program,
    readonly name: string,
    private readonly frame: Frame,
    /** Whether the source waits while the file cannot be written, instead of losing what exceeds the memory limit. */
    private readonly waits: boolean,
    rotation?: Rotation,
    mode?: number,
  ) {
    this.#file = new AppendFile(name, program.engine, mode);
    this.#maxPiece = rotation ? 0 : PIECE;
    if (rotation) this.#rotator = this.#createRotator(rotation);
    this.#updateSize();
    program.onReload(() => this.#betweenThreadWrites(() => this.#reopen()));
  }

  get counts(): SinkCounts {
    const sum = { ...this.#counts };
    const { datagrams, bytes, dropped } = this.#threads.counts;
    sum.datagrams += datagrams;
    sum.bytes += bytes;
    sum.dropped += dropped;
    return this.#rotator ? { ...sum, rotations: this.#rotator.rotations } : sum;
  }

  inThread() {
    // This frame puts a byte count before each datagram, which threads do not write.
    if (this.frame === 'octet-counted') return undefined;
    const target = this.#threads.target(this.#file.fd, endsEveryDatagram(this.frame));
    const handOver = (piece: HandedOver) => {
      for (const ready of this.#threads.take(piece))
        inPieces(ready, (bytes, datagrams, begins) => this.#add(bytes, datagrams, begins), this.#maxPiece);
      this.flush();
    };
    return { files: [{ target, handOver, threadFailed: () => this.#threads.threadFailed(target) }] };
  }

  write(given: Batch): void {
    const batch = encoded(given, this.frame);
    const direct = batch.lent && batch.bytes >= DIRECT_WRITE_SIZE && this.#retry === undefined;
    // With known message sizes and no rotation, the batch can be one piece.
    const maxPiece = direct && batch.sizes && !this.#rotator ? batch.bytes : this.#maxPiece;
    let kept = true;
    const take: Take = (slab, offset, length, datagrams, sizes) => {
      if (slab === ADDED_NEWLINE) {
        if (kept) this.#add(ADDED_NEWLINE, 0, false);
      } else {
        const piece = direct ? slab.subarray(offset, offset + length) : batch.keep(offset, length);
        kept = this.#add(piece, datagrams, true, direct ? sizes : sizes?.slice());
      }
    };
    toStream(batch, this.frame, take, maxPiece);
    if (direct || this.#backlog.bytes >= GATHER_LIMIT) this.flush();
    if (direct) this.#backlog.keep();
  }

  flush(): void {
    if (this.#retry === undefined) this.#writeOut();
  }

  room(): Promise<void> | undefined {
    return this.waits ? this.#progress.until(() => !this.#isFull || this.#aborted) : undefined;
  }

  get #isFull(): boolean {
    return this.#errorCode !== undefined && this.#backlog.memory >= WAIT_AT;
  }

  stored(): Promise<void> | undefined {
    return this.#progress.until(() => this.#backlog.empty);
  }

  abortPending(): void {
    this.#aborted = true;
    this.#progress.advance();
  }

  async close(): Promise<void> {
    this.#writeOut();
    clearTimeout(this.#retry);
    const { datagrams, whole } = this.#backlog;
    this.#counts.datagrams += whole;
    this.#counts.dropped += datagrams - whole;
    this.#backlog.clear();
    this.#closed = true;
    this.#file.close();
    const { dropped } = this.counts;
    if (dropped > 0) {
      this.program.fail(
        'MPROXY_WRITE',
        'writing',
        this.name,
        `${showCount(dropped, 'datagram')} could not be written`,
      );
    }
    await this.#rotator?.close();
  }

  /**
   * @param begins whether the piece starts at a datagram; the rest of a begun datagram is always kept
   * @returns false if the piece was dropped because the memory limit is reached
   */
  #add(piece: Buffer, datagrams: number, begins = true, sizes?: Sizes): boolean {
    const full = this.#errorCode !== undefined && this.#backlog.memory + piece.length > MEMORY_LIMIT;
    const kept = !full || !begins;
    if (kept) this.#backlog.add(piece, datagrams, begins, sizes);
    else this.#counts.dropped += datagrams;
    return kept;
  }

  #writeOut(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    try {
      while (!this.#backlog.empty) {
        if (this.#backlog.between && (this.#due || !this.#backlog.fits(this.#threads.room))) this.#rotate();
        const bytes = this.#file.write(this.#backlog.first(IOV_MAX, this.#threads.room));
        this.#threads.size += bytes;
        this.#counts.bytes += bytes;
        this.#counts.datagrams += this.#backlog.written(bytes);
      }
    } catch (error) {
      this.#failed(error as NodeJS.ErrnoException);
      return;
    }
    if (this.#errorCode !== undefined) this.program.emit(WRITE_RESUMED, { file: this.name });
    this.#errorCode = undefined;
    this.#progress.advance();
    if (this.#due && this.#threads.waiting) this.#rotate();
    this.#threads.allWritten();
  }

  #failed(error: NodeJS.ErrnoException): void {
    throwInternal(error);
    const code = error.code ?? error.message;
    const busy = code === 'EAGAIN';
    this.#retry = setTimeout(() => this.#writeOut(), busy ? EAGAIN_RETRY_MS : RETRY_MS);
    if (this.#errorCode === code) return;
    this.#errorCode = code;
    if (busy) return;
    addError(this.#counts, code);
    const event = { file: this.name, reason: reason(error), memoryLimit: MEMORY_LIMIT };
    this.program.emit(WRITE_FAILED, event);
  }

  /** After logrotate moved the file away, writing continues in a new file of the same name. */
  #reopen(): void {
    this.#writeOut();
    try {
      this.#file.reopen();
      this.#updateSize();
      this.#counts.datagrams += this.#backlog.beginAgain();
      this.program.emit(FILE_REOPENED, { file: this.name });
    } catch (error) {
      this.program.emit(REOPEN_FAILED, { file: this.name, reason: reason(error) });
    }
  }

  #createRotator(rotation: Rotation): Rotator {
    try {
      return new Rotator(this.program, this.#file, rotation, () => {
        this.#due = true;
        this.#betweenThreadWrites(() => {
          // Otherwise the next write rotates first.
          if (this.#due && this.#backlog.empty && !this.#threads.waiting) this.#rotate();
        });
      });
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  /** Call only between two datagrams, while no thread writes. An empty file is not rotated. */
  #rotate(): void {
    this.#due = false;
    this.#updateSize();
    if (!this.#rotator || this.#threads.size === 0) return;
    if (this.#rotator.rotate()) this.#updateSize();
    else this.#threads.limit = 0;
  }

  /** Reads the file's size, which other writers may have changed, and sets its limit. */
  #updateSize(): void {
    this.#threads.limit = this.#rotator?.rotation.size ?? 0;
    this.#threads.size = this.#file.stat.size;
  }

  #betweenThreadWrites(act: () => void): void {
    if (this.#closed || this.#threads.inTurn(act)) return;
    setTimeout(() => this.#betweenThreadWrites(act), LOCK_RETRY_MS).unref();
  }
}
