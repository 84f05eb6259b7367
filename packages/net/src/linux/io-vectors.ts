import { BATCH_CAPACITY } from 'mproxy-framing/batch';
import { IOVEC } from './layout.js';
import type { Libc } from './libc.js';

/** Buffers per writev(2) (<limits.h>). */
export const IOV_MAX = 1024;
/** Buffers of a full batch: UDP_GRO puts up to 128 datagrams in an entry, and each gets a newline. */
const BUFFERS = BATCH_CAPACITY * 128 * 2;

/** An array of struct iovec for writev(2). */
export class IoVectors {
  /** Kept in a field: the kernel is given its address. */
  readonly #iovs: Buffer;
  readonly #words: Uint32Array;
  readonly address: bigint;
  #count = 0;
  #bytes = 0;

  constructor(
    libc: Libc,
    readonly capacity = BUFFERS,
  ) {
    this.#iovs = Buffer.alloc(capacity * IOVEC.size);
    this.#words = new Uint32Array(this.#iovs.buffer, this.#iovs.byteOffset, this.#iovs.length / 4);
    this.address = libc.address(this.#iovs);
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes in all buffers. */
  get bytes(): number {
    return this.#bytes;
  }

  clear(): void {
    this.#count = 0;
    this.#bytes = 0;
  }

  add(address: number, length: number): void {
    if (length === 0) return;
    if (this.#count === this.capacity) throw new RangeError(`more than ${this.capacity} buffers`);
    const at = (this.#count++ * IOVEC.size) >> 2;
    this.#words[at] = address;
    this.#words[at + 1] = address / 2 ** 32;
    this.#words[at + 2] = length;
    this.#bytes += length;
  }

  addressOf(index: number): bigint {
    return this.address + BigInt(index * IOVEC.size);
  }

  /** Bytes in `count` buffers from an index on. */
  length(from: number, count: number): number {
    let length = 0;
    for (let i = from; i < from + count; i++) length += this.#words[(i * IOVEC.size + IOVEC.length) >> 2]!;
    return length;
  }
}
