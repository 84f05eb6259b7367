import { type Connection, Progress } from 'mproxy-net';
import type { PublishEncoder } from './encoder.js';
import type { Run } from './run.js';

/** Size of a block, in bytes: what is written at once, and what a broken connection may have taken twice. */
const BLOCK_BYTES = 128 * 1024;
/** A block with this many bytes is written even if more will follow. */
const FLUSH_BYTES = 96 * 1024;
/** Limit on free blocks kept for reuse. */
const MAX_FREE = 8;

/** Encoded messages. */
interface Block {
  readonly bytes: Buffer;
  used: number;
  messages: number;
  /** Bytes of their payloads. */
  payload: number;
}

/** Messages on their way to a server: encoded into blocks, which are reused, each block one write. */
export class Outbox {
  /** Messages that wait. */
  messages = 0;
  /** Messages that connections took since the start. */
  taken = 0;
  #bytes = 0;
  /** The last one is being filled. */
  readonly #blocks: Block[] = [];
  readonly #free: Block[] = [];
  #connection: Connection | undefined;
  /** The connection has the first block, and has not taken it yet. */
  #isGiven = false;
  #isHeld = false;
  #aborted = false;
  readonly #progress = new Progress();

  /**
   * @param limit in bytes
   * @param sent called when a connection took messages
   */
  constructor(
    private readonly encoder: PublishEncoder,
    private readonly limit: number,
    private readonly sent: (messages: number, bytes: number) => void,
  ) {}

  /** Takes a run of messages, which are copied. @returns false when there is no room */
  offer(run: Run): boolean {
    const space = this.encoder.space(run);
    if (this.#bytes > 0 && this.#bytes + space > this.limit) return false;
    const block = this.#blockFor(space);
    const start = block.used;
    block.used = this.encoder.encode(block.bytes, start, run, space);
    block.messages += run.count;
    block.payload += run.bytes;
    this.messages += run.count;
    this.#bytes += block.used - start;
    if (block.used >= FLUSH_BYTES) this.flush();
    return true;
  }

  /** Writes what waits, unless the connection is still busy with a block. */
  flush(): void {
    while (this.#connection && !this.#isHeld && !this.#isGiven && this.#blocks.length > 0) {
      const { bytes, used } = this.#blocks[0]!;
      this.#isGiven = true;
      if (!this.#connection.write([bytes.subarray(0, used)])) return;
      this.#remove();
    }
  }

  /** Writes to a connection from now on. */
  attach(connection: Connection): void {
    this.#connection = connection;
    this.#isHeld = false;
    this.flush();
  }

  /** Writes nothing more to the connection; what it has may still be taken. */
  hold(): void {
    this.#isHeld = true;
  }

  /** The connection took what it was given. */
  drained(): void {
    if (this.#isGiven) this.#remove();
    this.flush();
  }

  /** The connection is closed. @returns how many messages it may have taken although they still wait here */
  detach(): number {
    this.#connection = undefined;
    const given = this.#isGiven ? this.#blocks[0]!.messages : 0;
    this.#isGiven = false;
    return given;
  }

  /** Forgets what waits; only while it is detached. @returns how many messages that were */
  discard(): number {
    const { messages } = this;
    this.messages = this.#bytes = 0;
    for (const block of this.#blocks.splice(0)) this.#recycle(block);
    this.#progress.advance();
    return messages;
  }

  /** Forgets the messages with a longer payload, in bytes; only while it is detached. @returns how many those were */
  discardLonger(longest: number): number {
    const { messages } = this;
    for (const block of this.#blocks.splice(0)) {
      this.#keepShort(block, longest);
      if (block.messages > 0) this.#blocks.push(block);
      else this.#recycle(block);
    }
    this.#progress.advance();
    return messages - this.messages;
  }

  #keepShort(block: Block, longest: number): void {
    const { bytes, used } = block;
    block.used = 0;
    for (let at = 0; at < used; ) {
      const { size, end } = this.encoder.messageAt(bytes, at);
      if (size > longest) {
        block.messages--;
        block.payload -= size;
        this.messages--;
      } else block.used += bytes.copy(bytes, block.used, at, end);
      at = end;
    }
    this.#bytes -= used - block.used;
  }

  /** Resolves when at most this many bytes wait, or after {@link abort}; undefined when it is so already. */
  room(bytes: number): Promise<void> | undefined {
    return this.#progress.until(() => this.#bytes <= bytes || this.#aborted);
  }

  /** Ends all waits for room, now and later. */
  abort(): void {
    this.#aborted = true;
    this.#progress.advance();
  }

  #blockFor(space: number): Block {
    const last = this.#blocks.at(-1);
    const isFree = last !== undefined && !(this.#isGiven && this.#blocks.length === 1);
    if (isFree && last.used + space <= last.bytes.length) return last;
    const reused = space <= BLOCK_BYTES ? this.#free.pop() : undefined;
    const bytes = reused?.bytes ?? Buffer.allocUnsafeSlow(Math.max(space, BLOCK_BYTES));
    const block = { bytes, used: 0, messages: 0, payload: 0 };
    this.#blocks.push(block);
    return block;
  }

  #remove(): void {
    const block = this.#blocks.shift()!;
    const { used, messages, payload } = block;
    this.#isGiven = false;
    this.#bytes -= used;
    this.messages -= messages;
    this.taken += messages;
    this.#recycle(block);
    this.sent(messages, payload);
    this.#progress.advance();
  }

  #recycle(block: Block): void {
    if (block.bytes.length === BLOCK_BYTES && this.#free.length < MAX_FREE) this.#free.push(block);
  }
}
