import type { Batch } from 'mproxy-framing';
import type { FileTarget, HandedOver } from '../datagrams.js';
import { SharedCounts } from './counts.js';
import { FileLock, next } from './file-lock.js';
import { IOV_MAX, IoVectors } from './io-vectors.js';
import type { Libc } from './libc.js';

const NEWLINE = 0x0a;

/**
 * Writes batches to a file, one system call per batch. Data that does not fit (full disk, file due for
 * rotation) goes to the event loop. To keep the order, so does all further data until the loop has written.
 */
export class FileWriter {
  readonly #newline = Buffer.alloc(64, NEWLINE);
  readonly #newlineAddress: number;
  readonly #counts: SharedCounts;
  readonly #fileLock: FileLock;
  #slab: Buffer = Buffer.alloc(0);
  /** Exact as a number: user addresses of 64-bit Linux are below 2^47 (x86-64) or 2^52 (arm64). */
  #slabAddress = 0;

  /** @param vectors used during a write only: all writers of a thread share them */
  constructor(
    private readonly libc: Libc,
    private readonly file: FileTarget,
    private readonly handOver: (piece: HandedOver) => void,
    private readonly vectors = new IoVectors(libc),
  ) {
    this.#newlineAddress = Number(libc.address(this.#newline));
    this.#counts = new SharedCounts(file.counts);
    this.#fileLock = new FileLock(file.lock);
  }

  write(batch: Batch): void {
    if (this.#slab !== batch.slab) {
      this.#slab = batch.slab;
      this.#slabAddress = Number(this.libc.address(batch.slab));
    }
    this.vectors.clear();
    if (this.file.endsLines) batch.each((offset, length) => this.#line(offset, length));
    else
      for (let i = 0; i < batch.count; i++)
        this.vectors.add(this.#slabAddress + batch.offset[i]!, batch.length[i]!);
    const { bytes } = this.vectors;
    this.#fileLock.lock(bytes, this.file.number);
    const taken = this.#fileLock.any || bytes > this.#fileLock.room ? 0 : this.#flush();
    // Otherwise the event loop may be changing it.
    if (taken > 0) this.#fileLock.size += taken;
    const ticket = taken < bytes ? this.#fileLock.hand(bytes - taken) : undefined;
    this.#fileLock.unlock();
    if (taken === bytes) this.#counts.moved(batch.datagrams, bytes);
    else if (ticket === undefined) this.#counts.dropped += batch.datagrams;
    else this.#handOverRest(batch, taken, bytes - taken, ticket);
  }

  #line(offset: number, length: number): void {
    this.vectors.add(this.#slabAddress + offset, length);
    if (length > 0 && this.#slab[offset + length - 1] !== NEWLINE) this.vectors.add(this.#newlineAddress, 1);
  }

  /** @returns bytes written */
  #flush(): number {
    const { count } = this.vectors;
    let taken = 0;
    for (let at = 0; at < count; at += IOV_MAX) {
      const some = Math.min(IOV_MAX, count - at);
      const wrote = Number(this.libc.writev(this.file.fd, this.vectors.addressOf(at), some));
      if (wrote < 0) break;
      taken += wrote;
      // After a partial write, its rest must be written first.
      if (at + some < count && wrote < this.vectors.length(at, some)) break;
    }
    return taken;
  }

  /** Hands over the rest of a batch after the bytes written. */
  #handOverRest(batch: Batch, taken: number, left: number, ticket: number): void {
    // Not from Buffer's pool: its transfer to the other thread would transfer the whole pool.
    const rest = Buffer.allocUnsafeSlow(left);
    const ends: number[] = [];
    let begun = taken > 0;
    let at = -taken;
    const add = (from: Buffer, offset: number, length: number) => {
      const skip = Math.max(0, -at);
      if (skip < length) from.copy(rest, at + skip, offset + skip, offset + length);
      at += length;
    };
    batch.each((offset, length) => {
      add(batch.slab, offset, length);
      if (this.file.endsLines && length > 0 && batch.slab[offset + length - 1] !== NEWLINE)
        add(this.#newline, 0, 1);
      if (at > 0) ends.push(at);
      else begun = at < 0;
    });
    this.#counts.moved(batch.datagrams - ends.length, taken);
    this.handOver({ bytes: rest, ends, begun, ticket });
  }
}

/** The event loop's side of a file that threads write to. */
export class ThreadFile {
  readonly #fileLock = new FileLock();
  readonly #counts: SharedCounts[] = [];
  /** Pieces that arrived before one with an earlier ticket, from another thread. */
  readonly #early = new Map<number, HandedOver>();
  #taken = 0;

  /** The target for one more thread. */
  target(fd: number, endsLines: boolean): FileTarget {
    const counts = new SharedCounts();
    this.#counts.push(counts);
    const number = this.#counts.length;
    return { number, fd, endsLines, counts: counts.buffer, lock: this.#fileLock.buffer };
  }

  /** The thread that had the target failed: it may have held the lock. */
  threadFailed({ number }: FileTarget): void {
    this.#fileLock.release(number);
  }

  /** Bytes in the file. The event loop changes it while {@link waiting}, or {@link inTurn}. */
  get size(): number {
    return this.#fileLock.size;
  }

  set size(bytes: number) {
    this.#fileLock.size = bytes;
  }

  /** Size up to which the threads write, in bytes; 0: unlimited. */
  set limit(bytes: number) {
    this.#fileLock.limit = bytes;
  }

  get room(): number {
    return this.#fileLock.room;
  }

  /** Whether the threads wait for the event loop to write. */
  get waiting(): boolean {
    return this.#fileLock.any;
  }

  /** Runs `act` with the file locked. @returns false, without running it, when a thread holds the lock */
  inTurn(act: () => void): boolean {
    if (!this.#fileLock.tryLock()) return false;
    try {
      act();
    } finally {
      this.#fileLock.unlock();
    }
    return true;
  }

  /** Datagrams that the threads wrote themselves or dropped. */
  get counts(): { datagrams: number; bytes: number; dropped: number } {
    const sum = { datagrams: 0, bytes: 0, dropped: 0 };
    for (const { datagrams, bytes, dropped } of this.#counts) {
      sum.datagrams += datagrams;
      sum.bytes += bytes;
      sum.dropped += dropped;
    }
    return sum;
  }

  /** Takes a handed-over piece. @returns the pieces to write now, in order */
  take(piece: HandedOver): HandedOver[] {
    this.#fileLock.arrived(piece.bytes.length);
    this.#early.set(piece.ticket, piece);
    const due: HandedOver[] = [];
    for (let ticket = next(this.#taken); ; ticket = next(ticket)) {
      const one = this.#early.get(ticket);
      if (!one) return due;
      this.#early.delete(ticket);
      this.#taken = ticket;
      due.push(one);
    }
  }

  /** Everything taken is in the file: unless more was handed over, the threads write again. */
  allWritten(): void {
    this.#fileLock.writtenUpTo(this.#taken);
  }
}
