import { reason, showCount, showMemory, throwInternal } from 'mproxy-base';
import type { Batch } from 'mproxy-framing';
import {
  ADDED_NEWLINE,
  encoded,
  endsEveryDatagram,
  type Frame,
  PIECE,
  type Take,
  toStream,
} from 'mproxy-framing';
import { type HandedOver, ThreadFile } from 'mproxy-net';
import { type SinkCounts, sinkCounts } from '../../counts.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import { AppendFile } from './append.js';
import { Backlog } from './backlog.js';
import { inPieces } from './hand-over.js';
import type { Rotation } from './rotation/options.js';
import { Rotator } from './rotation/rotator.js';

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
/** A thread that is writing is done soon. */
const TURN_MS = 1;

/**
 * A file that is appended to, or a device. What cannot be written is kept, up to a bound, and tried again. A receiving
 * thread writes to it by itself, and hands over what it could not write.
 */
export class FileSink implements Sink {
  readonly dropReason = 'it could not be written';
  readonly #counts = sinkCounts();
  readonly #threads = new ThreadFile();
  readonly #backlog = new Backlog();
  readonly #file: AppendFile;
  readonly #rotator: Rotator | undefined;
  /** Bytes at most of datagrams that are kept as one: what is rotated may be cut before any. */
  readonly #most: number;
  /** It is time for another file. */
  #due = false;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
  /** The error that stands between us and the file, by its code. */
  #trouble: string | undefined;

  constructor(
    private readonly program: Program,
    readonly name: string,
    private readonly frame: Frame,
    rotation?: Rotation,
    mode?: number,
  ) {
    this.#file = new AppendFile(name, program.engine, mode);
    this.#most = rotation ? 0 : PIECE;
    if (rotation) this.#rotator = this.#rotating(rotation);
    this.#measure();
    program.onReload(() => this.#betweenWrites(() => this.#reopen()));
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
    // Counts are put before datagrams here.
    if (this.frame === 'octet-counted') return undefined;
    const target = this.#threads.target(this.#file.fd, endsEveryDatagram(this.frame));
    const handOver = (piece: HandedOver) => {
      for (const due of this.#threads.take(piece))
        inPieces(due, (bytes, datagrams, begins) => this.#add(bytes, datagrams, begins), this.#most);
      this.flush();
    };
    return { files: [{ target, handOver }] };
  }

  write(given: Batch): void {
    const batch = encoded(given, this.frame);
    const atOnce = batch.lent && batch.bytes >= WORTH_A_CALL && this.#backlog.empty;
    // Of messages it is known where they end: as long as the file is not to be cut there they may be one piece.
    const most = atOnce && batch.sizes && !this.#rotator ? batch.bytes : this.#most;
    let kept = true;
    const take: Take = (slab, offset, length, datagrams, sizes) => {
      if (slab === ADDED_NEWLINE) {
        if (kept) this.#add(ADDED_NEWLINE, 0, false);
      } else {
        const piece = atOnce ? slab.subarray(offset, offset + length) : batch.keep(offset, length);
        kept = this.#add(piece, datagrams, true, atOnce ? sizes : sizes?.slice());
      }
    };
    toStream(batch, this.frame, take, most);
    if (atOnce || this.#backlog.bytes >= GATHER_LIMIT) this.flush();
    if (atOnce) this.#backlog.keep();
  }

  flush(): void {
    if (this.#retry === undefined) this.#writeOut();
  }

  room(): undefined {
    return undefined;
  }

  abortPending(): void {}

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
   * @param begins whether a datagram begins with it; one that was begun is always kept
   * @returns false when there is no room for it any more
   */
  #add(piece: Buffer, datagrams: number, begins = true, sizes?: Uint16Array): boolean {
    const full = this.#trouble !== undefined && this.#backlog.memory + piece.length > MEMORY_LIMIT;
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
    if (this.#trouble !== undefined) this.program.notice(`writing: ${this.name}: goes on`);
    this.#trouble = undefined;
    if (this.#due && this.#threads.waiting) this.#rotate();
    this.#threads.allWritten();
  }

  #failed(error: NodeJS.ErrnoException): void {
    throwInternal(error);
    const code = error.code ?? error.message;
    const busy = code === 'EAGAIN';
    this.#retry = setTimeout(() => this.#writeOut(), busy ? BUSY_MS : RETRY_MS);
    if (this.#trouble === code) return;
    this.#trouble = code;
    if (busy) return;
    this.#counts.errors[code] = (this.#counts.errors[code] ?? 0) + 1;
    const bound = showMemory(MEMORY_LIMIT);
    this.program.loss(
      `writing: ${this.name}: ${reason(error)}; keeping up to ${bound} in memory, trying every second`,
    );
  }

  /** logrotate moved the file away: what follows goes to a new one of that name. */
  #reopen(): void {
    this.#writeOut();
    try {
      this.#file.reopen();
      this.#measure();
      this.#counts.datagrams += this.#backlog.beginAgain();
      this.program.notice(`writing: ${this.name}: reopened`);
    } catch (error) {
      this.program.loss(`reopening: ${this.name}: ${reason(error)}; going on with the old file`);
    }
  }

  #rotating(rotation: Rotation): Rotator {
    try {
      return new Rotator(this.program, this.#file, rotation, () => {
        this.#due = true;
        this.#betweenWrites(() => {
          // Else it is done before what waits is written.
          if (this.#due && this.#backlog.empty && !this.#threads.waiting) this.#rotate();
        });
      });
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  /** For the time between two datagrams, while no thread writes. An empty file is not rotated. */
  #rotate(): void {
    this.#due = false;
    this.#measure();
    if (!this.#rotator || this.#threads.size === 0) return;
    if (this.#rotator.rotate()) this.#measure();
    else this.#threads.limit = 0;
  }

  /** How large the file is, whoever wrote it, and how large it may get. */
  #measure(): void {
    this.#threads.limit = this.#rotator?.rotation.size ?? 0;
    this.#threads.size = this.#file.stat.size;
  }

  #betweenWrites(act: () => void): void {
    if (this.#closed || this.#threads.inTurn(act)) return;
    setTimeout(() => this.#betweenWrites(act), TURN_MS).unref();
  }
}
