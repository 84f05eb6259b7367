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
  /** The oldest that is not acknowledged, the next to send, the last that was ever sent, and the next to be added. */
  #oldest = 1;
  #next = 1;
  #sent = 0;
  #end = 1;
  readonly #blocks: Block[] = [];
  readonly #free: Block[] = [];
  /** By number modulo the window: whether a message is acknowledged before an older one. */
  readonly #done: Uint8Array;

  /** @param size in messages */
  constructor(
    private readonly encoder: JetEncoder,
    private readonly size: number,
  ) {
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
    while (this.#next <= this.#sent && this.#done[this.#next % this.size]) this.#next++;
    const limit = Math.min(this.#end, this.#oldest + this.size);
    const first = this.#next;
    if (first >= limit) return undefined;
    const block = this.#blocks.find((one) => first < one.first + one.count)!;
    const last = Math.min(limit, block.first + block.count);
    let next = first + 1;
    while (next < last && !(next <= this.#sent && this.#done[next % this.size])) next++;
    this.resent += Math.max(0, Math.min(next, this.#sent + 1) - first);
    this.#next = next;
    this.#sent = Math.max(this.#sent, next - 1);
    const start = first === block.first ? 0 : block.ends[first - block.first - 1]!;
    return block.bytes.subarray(start, block.ends[next - 1 - block.first]);
  }

  /** All that are sent and not acknowledged are to be sent again. @returns how many those are at most */
  rewind(): number {
    this.#next = this.#oldest;
    return this.outstanding;
  }

  /** A message needs to be kept no more. @returns false: its number is not that of one that is waited for */
  done(number: number): boolean {
    if (!(number >= this.#oldest && number <= this.#sent) || this.#done[number % this.size]) return false;
    this.#done[number % this.size] = 1;
    for (; this.#done[this.#oldest % this.size]; this.#oldest++) this.#done[this.#oldest % this.size] = 0;
    this.#next = Math.max(this.#next, this.#oldest);
    return true;
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
