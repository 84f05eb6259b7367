import type { JetEncoder } from './jet-encoder.js';

/** Size of a block, in bytes, and the most messages in one. */
const BLOCK_BYTES = 128 * 1024;
const BLOCK_MESSAGES = 1024;
/** Limit on free blocks kept for reuse. */
const MAX_FREE = 8;

/** Encoded messages with successive numbers. */
interface Block {
  readonly bytes: Buffer;
  readonly ends: Uint32Array;
  /** The number of its first message. */
  first: number;
  count: number;
}

/**
 * The messages that are not acknowledged yet. They are numbered from 1. Up to a window of them are sent at a time; all that
 * are sent and not acknowledged are sent again after {@link rewind}.
 */
export class JetWindow {
  /** Bytes of the blocks in use. */
  bytes = 0;
  /** Messages that were sent again. */
  resent = 0;
  /** The longest payload that is sent, in bytes; a message with a longer one is dropped when its turn comes. */
  longest = Number.POSITIVE_INFINITY;
  /** Of those that may be sent at a time, how many are: all, but after {@link slowDown}. */
  #pace: number;
  /** The oldest that is not acknowledged, the next to send, the last that was ever sent, and the next to be added. */
  #oldest = 1;
  #next = 1;
  #sent = 0;
  #end = 1;
  readonly #blocks: Block[] = [];
  readonly #free: Block[] = [];
  /** By number modulo the window: whether a message is acknowledged before an older one. */
  readonly #done: Uint8Array;

  /**
   * @param size in messages
   * @param onTooLong called for each message that is dropped
   */
  constructor(
    private readonly encoder: JetEncoder,
    private readonly size: number,
    private readonly onTooLong: () => void,
  ) {
    this.#pace = size;
    this.#done = new Uint8Array(size);
  }

  /** Messages that are not acknowledged. */
  get count(): number {
    return this.#end - this.#oldest;
  }

  /** Those of them that were sent. */
  get outstanding(): number {
    return this.#sent + 1 - this.#oldest;
  }

  /** Those of them that were never sent. */
  get unsent(): number {
    return this.#end - 1 - this.#sent;
  }

  /** The number of the last message. */
  get last(): number {
    return this.#end - 1;
  }

  /** Whether all messages up to a number are acknowledged. */
  isDone(last: number): boolean {
    return this.#oldest > last;
  }

  /** Takes a message, which is copied. */
  add(slab: Buffer, offset: number, length: number): void {
    const block = this.#blockFor(this.encoder.space(length));
    const start = endOf(block);
    block.ends[block.count++] = this.encoder.encode(block.bytes, start, slab, offset, length);
    this.#end++;
  }

  /** The next bytes to send, of whole messages; undefined: nothing is to be sent, or the window is full. */
  take(): Buffer | undefined {
    const block = this.#skip();
    if (!block) return undefined;
    const first = this.#next;
    const last = Math.min(this.#limit, block.first + block.count);
    let next = first + 1;
    while (next < last && !this.#isDone(next) && !this.#isTooLong(block, next)) next++;
    this.resent += Math.max(0, Math.min(next, this.#sent + 1) - first);
    this.#next = next;
    this.#sent = Math.max(this.#sent, next - 1);
    return block.bytes.subarray(startIn(block, first), block.ends[next - 1 - block.first]);
  }

  /** Goes on to the next message that is to be sent. @returns its block; undefined: there is none */
  #skip(): Block | undefined {
    for (; this.#next < this.#limit; this.#next++) {
      const number = this.#next;
      if (this.#isDone(number)) continue;
      const block = this.#blockOf(number);
      if (!this.#isTooLong(block, number)) return block;
      this.#sent = Math.max(this.#sent, number);
      this.#release(number);
      this.#next = Math.max(number, this.#oldest - 1);
      this.onTooLong();
    }
    return undefined;
  }

  /** The first number that may not be sent yet. */
  get #limit(): number {
    return Math.min(this.#end, this.#oldest + this.#pace);
  }

  #isDone(number: number): boolean {
    return number <= this.#sent && this.#done[number % this.size] === 1;
  }

  #isTooLong(block: Block, number: number): boolean {
    return this.#length(block, number) > this.longest;
  }

  #blockOf(number: number): Block {
    return this.#blocks.find((one) => number < one.first + one.count)!;
  }

  /** Bytes of the payload of a message, until {@link trim} after it is {@link done}. */
  lengthOf(number: number): number {
    return this.#length(this.#blockOf(number), number);
  }

  #length(block: Block, number: number): number {
    return block.ends[number - block.first]! - startIn(block, number) - this.encoder.space(0);
  }

  /** All that are sent and not acknowledged are to be sent again. @returns how many those are at most */
  rewind(): number {
    this.#next = this.#oldest;
    return this.outstanding;
  }

  /**
   * One message at a time is sent from now on, and one more after each that is done: of several, a stream that is full would
   * store those that find room again, and they would stand before older ones.
   */
  slowDown(): void {
    this.#pace = 1;
  }

  /** A message needs to be kept no more. @returns false: its number is not that of one that is waited for */
  done(number: number): boolean {
    if (!(number >= this.#oldest && number <= this.#sent) || this.#done[number % this.size]) return false;
    if (this.#pace < this.size) this.#pace++;
    this.#release(number);
    this.#next = Math.max(this.#next, this.#oldest);
    return true;
  }

  #release(number: number): void {
    this.#done[number % this.size] = 1;
    for (; this.#done[this.#oldest % this.size]; this.#oldest++) this.#done[this.#oldest % this.size] = 0;
  }

  /** Releases the memory of what is acknowledged; only while no connection reads it. */
  trim(): void {
    for (let block = this.#blocks[0]; block; block = this.#blocks[0]) {
      if (block.first + block.count > this.#oldest) return;
      this.#blocks.shift();
      this.bytes -= block.bytes.length;
      if (block.bytes.length === BLOCK_BYTES && this.#free.length < MAX_FREE) this.#free.push(block);
    }
  }

  #blockFor(space: number): Block {
    const last = this.#blocks.at(-1);
    if (last && last.count < BLOCK_MESSAGES && endOf(last) + space <= last.bytes.length) return last;
    const block = (space <= BLOCK_BYTES ? this.#free.pop() : undefined) ?? {
      bytes: Buffer.allocUnsafeSlow(Math.max(space, BLOCK_BYTES)),
      ends: new Uint32Array(BLOCK_MESSAGES),
      first: 0,
      count: 0,
    };
    block.first = this.#end;
    block.count = 0;
    this.bytes += block.bytes.length;
    this.#blocks.push(block);
    return block;
  }
}

function endOf({ ends, count }: Block): number {
  return count === 0 ? 0 : ends[count - 1]!;
}

function startIn({ ends, first }: Block, number: number): number {
  return number === first ? 0 : ends[number - first - 1]!;
}
