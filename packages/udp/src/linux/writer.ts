import { BATCH_CAPACITY, type Batch } from '../batch.js';
import type { FileTarget, HandedOver } from '../contract.js';
import { SharedCounts } from './counts.js';
import { IOVEC } from './layout.js';
import type { Libc } from './libc.js';

/** Buffers that one writev(2) takes (IOV_MAX, <limits.h>). */
const IOV_MAX = 1024;
/** A full batch of datagrams as small as UDP_GRO puts together, 128 an entry, each with a newline. */
const MOST = BATCH_CAPACITY * 128 * 2;
const NEWLINE = 0x0a;

/**
 * Writes batches to a file, a batch a system call. What the file does not take at once (a full disk) is handed over
 * to the event loop, and all that follows too, until the loop has written it: so the order stays.
 */
export class FileOutlet {
  readonly #iovs = Buffer.alloc(MOST * IOVEC.size);
  readonly #words: Uint32Array;
  readonly #newline = Buffer.alloc(64, NEWLINE);
  readonly #newlineAddress: number;
  readonly #address: bigint;
  readonly #counts: SharedCounts;
  readonly #written: Int32Array;
  #slab: Buffer = Buffer.alloc(0);
  /** User addresses of 64-bit Linux are below 2^47 (x86-64) or 2^52 (arm64): a number holds them exactly. */
  #slabAddress = 0;
  #handed = 0;
  #count = 0;
  #bytes = 0;

  constructor(
    private readonly libc: Libc,
    private readonly file: FileTarget,
    private readonly handOver: (piece: HandedOver) => void,
  ) {
    this.#words = new Uint32Array(this.#iovs.buffer, this.#iovs.byteOffset, this.#iovs.length / 4);
    this.#address = libc.address(this.#iovs);
    this.#newlineAddress = Number(libc.address(this.#newline));
    this.#counts = new SharedCounts(file.counts);
    this.#written = new Int32Array(file.written);
  }

  write(batch: Batch): void {
    if (this.#slab !== batch.slab) {
      this.#slab = batch.slab;
      this.#slabAddress = Number(this.libc.address(batch.slab));
    }
    if (this.file.endsLines) batch.each((offset, length) => this.#line(offset, length));
    else
      for (let i = 0; i < batch.count; i++) this.#add(this.#slabAddress + batch.offset[i]!, batch.length[i]!);
    const bytes = this.#bytes;
    this.#bytes = 0;
    const taken = this.#handed === Atomics.load(this.#written, 0) ? this.#flush() : 0;
    this.#count = 0;
    if (taken === bytes) this.#counts.moved(batch.datagrams, bytes);
    else this.#rest(batch, taken);
  }

  #line(offset: number, length: number): void {
    this.#add(this.#slabAddress + offset, length);
    if (length > 0 && this.#slab[offset + length - 1] !== NEWLINE) this.#add(this.#newlineAddress, 1);
  }

  #add(address: number, length: number): void {
    if (length === 0) return;
    if (this.#count === MOST) throw new RangeError('more datagrams in a batch than UDP_GRO puts together');
    const at = (this.#count++ * IOVEC.size) >> 2;
    this.#words[at] = address;
    this.#words[at + 1] = address / 2 ** 32;
    this.#words[at + 2] = length;
    this.#bytes += length;
  }

  /** @returns bytes that the file took */
  #flush(): number {
    let taken = 0;
    for (let at = 0; at < this.#count; at += IOV_MAX) {
      const count = Math.min(IOV_MAX, this.#count - at);
      const wrote = Number(this.libc.writev(this.file.fd, this.#address + BigInt(at * IOVEC.size), count));
      if (wrote < 0) break;
      taken += wrote;
      // What comes after a part that was not taken whole must not be written before its rest.
      if (at + count < this.#count && wrote < this.#length(at, count)) break;
    }
    return taken;
  }

  /** Bytes of so many buffers. */
  #length(at: number, count: number): number {
    let length = 0;
    for (let i = at; i < at + count; i++) length += this.#words[(i * IOVEC.size + IOVEC.length) >> 2]!;
    return length;
  }

  /** Hands over what is left of a batch after the bytes that were taken. */
  #rest(batch: Batch, taken: number): void {
    const pieces: Buffer[] = [];
    let bytes = 0;
    let whole = 0;
    batch.each((offset, length) => {
      pieces.push(batch.slab.subarray(offset, offset + length));
      bytes += length;
      if (this.file.endsLines && length > 0 && batch.slab[offset + length - 1] !== NEWLINE) {
        pieces.push(this.#newline.subarray(0, 1));
        bytes++;
      }
      if (bytes <= taken) whole++;
    });
    this.#handed++;
    this.#counts.moved(whole, taken);
    this.handOver({ bytes: Buffer.concat(pieces).subarray(taken), datagrams: batch.datagrams - whole });
  }
}

/** The event loop's side of a file that one thread writes to. */
export class ThreadFile {
  readonly target: FileTarget;
  readonly #counts = new SharedCounts();
  readonly #written = new Int32Array(new SharedArrayBuffer(4));
  #taken = 0;

  constructor(fd: number, endsLines: boolean) {
    const written = this.#written.buffer as SharedArrayBuffer;
    this.target = { fd, endsLines, counts: this.#counts.buffer, written };
  }

  /** What the thread wrote itself. */
  get counts(): { datagrams: number; bytes: number } {
    return this.#counts.read();
  }

  /** A piece was handed over. */
  take(): void {
    this.#taken++;
  }

  /** All that was handed over is in the file: the thread may go on by itself. */
  allWritten(): void {
    Atomics.store(this.#written, 0, this.#taken);
  }
}
