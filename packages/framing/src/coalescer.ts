import type { Batch } from './batch.js';
import type { Frame } from './frame.js';
import { ADDED_NEWLINE, encoded, toStream } from './join.js';

/** Bytes at which a burst is passed on even if more is there. */
const FLUSH_BYTES = 64 * 1024;
/** Size of a block, in bytes; two of the largest datagrams fit. */
const BLOCK_BYTES = 128 * 1024;
/** Limit on free blocks kept for reuse: V8 collects memory outside its heap late. */
const MAX_FREE = 8;

/** Memory shared by several queues, and reused when the last of them has released it. */
export interface Lease {
  hold(): void;
  /** The holder's bytes were written. */
  done(): void;
  /** The holder is gone, but the kernel may still read its bytes: the memory is never reused. */
  abandon(): void;
}

/** A block of memory, filled from start to end. */
class Block implements Lease {
  used = 0;
  #holders = 0;
  #abandoned = false;

  constructor(
    readonly bytes: Buffer,
    private readonly released: (block: Block) => void,
  ) {}

  /** Whether it may be filled again. */
  get free(): boolean {
    return this.#holders === 0 && !this.#abandoned;
  }

  hold(): void {
    this.#holders++;
  }

  done(): void {
    if (--this.#holders === 0) this.released(this);
  }

  abandon(): void {
    this.#abandoned = true;
    this.done();
  }
}

/**
 * Coalesces the datagrams of a burst into one chunk, framed for a stream. Bursts are contiguous in memory: a
 * queue can hold many of them as one range.
 */
export class Coalescer {
  readonly #free: Block[] = [];
  #block = this.#newBlock(BLOCK_BYTES);
  /** Where in the block the pending burst begins. */
  #start = 0;
  #datagrams = 0;

  /** @param pass takes a chunk of whole datagrams, which is unchanged while the lease is held */
  constructor(
    private readonly frame: Frame,
    private readonly pass: (chunk: Buffer, datagrams: number, lease: Lease) => void,
  ) {}

  add(input: Batch): void {
    const batch = encoded(input, this.frame);
    toStream(batch, this.frame, (slab, offset, length, datagrams) => {
      // A datagram and the newline that its frame may add stay in one block.
      if (slab !== ADDED_NEWLINE) this.#reserve(length + ADDED_NEWLINE.length);
      this.#datagrams += datagrams;
      this.#block.used += slab.copy(this.#block.bytes, this.#block.used, offset, offset + length);
    });
    if (this.#block.used - this.#start >= FLUSH_BYTES) this.flush();
  }

  /** Whether a burst is pending. */
  get pending(): boolean {
    return this.#block.used > this.#start;
  }

  /** Passes on the pending burst. */
  flush(): void {
    const block = this.#block;
    if (!this.pending) return;
    const chunk = block.bytes.subarray(this.#start, block.used);
    const datagrams = this.#datagrams;
    this.#start = block.used;
    this.#datagrams = 0;
    // Of several queues the first may be done before the next one holds the block.
    block.hold();
    this.pass(chunk, datagrams, block);
    block.done();
  }

  /** Ensures space for this many bytes, in another block if necessary. */
  #reserve(bytes: number): void {
    if (this.#block.used + bytes <= this.#block.bytes.length) return;
    this.flush();
    if (this.#block.used + bytes <= this.#block.bytes.length) return;
    this.#block = (bytes <= BLOCK_BYTES && this.#free.pop()) || this.#newBlock(Math.max(bytes, BLOCK_BYTES));
    this.#restart();
  }

  #newBlock(size: number): Block {
    return new Block(Buffer.allocUnsafeSlow(size), (block) => this.#released(block));
  }

  #released(block: Block): void {
    if (!block.free) return;
    if (block === this.#block) {
      if (block.used === this.#start) this.#restart();
    } else if (block.bytes.length === BLOCK_BYTES && this.#free.length < MAX_FREE) this.#free.push(block);
  }

  #restart(): void {
    this.#block.used = this.#start = 0;
  }
}
