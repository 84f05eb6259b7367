import type { Writable } from 'node:stream';
import type { Lease } from './coalescer.js';
import { Progress } from './progress.js';

/** Bytes handed to the stream at once: few, to see a slow reader's progress (see `progressAt`). */
const WINDOW = 128 * 1024;
/** Approximate memory of a range in V8, in bytes: object, view of the memory and list entry. */
const RANGE_MEMORY = 200;

/** Bytes to write that are contiguous in memory. */
interface Range {
  first: Buffer;
  /** Bytes from the start of `first`; chunks that directly follow it extend the range. */
  length: number;
  lease: Lease | undefined;
}

/**
 * The output queue of one reader. Node queues without limit what a pipe or socket does not take, hence this
 * queue. Memory is shared: a thousand slow readers hold one copy of the data, and a list of ranges each.
 */
export class OutputQueue {
  /** Bytes that the reader has not taken yet. */
  queued = 0;
  /** When the reader last took bytes, or had none to take; by `performance.now()`. */
  progressAt = performance.now();
  #ranges: Range[] = [];
  /** Ranges handed to the stream. */
  #inFlight: Range[] = [];
  #writing = false;
  #gone = false;
  #aborted = false;
  readonly #progress = new Progress();

  constructor(
    readonly stream: Writable,
    /** Limit on memory in bytes, the list included; one chunk always fits an empty queue. */
    private readonly limit: number,
  ) {
    const abandon = () => {
      this.#gone = true;
      for (const { lease } of [...this.#inFlight, ...this.#ranges]) lease?.abandon();
      this.#inFlight = [];
      this.#ranges = [];
      this.#progress.advance();
    };
    // Both listeners stay: process.stdout undoes its own destruction, and each later write fails again.
    stream.on('error', abandon);
    stream.on('close', abandon);
  }

  get gone(): boolean {
    return this.#gone || this.stream.destroyed;
  }

  /**
   * Takes a whole chunk.
   * @param lease held until the stream has written the chunk, abandoned if the reader is gone first
   * @returns false when the queue is full or the reader is gone
   */
  offer(chunk: Buffer, lease?: Lease): boolean {
    const last = this.#ranges.at(-1);
    const extended = last !== undefined && follows(last, chunk, lease) ? last : undefined;
    if (this.gone || (this.queued > 0 && this.#memory(chunk.length, extended) > this.limit)) return false;
    if (this.queued === 0) this.progressAt = performance.now();
    this.queued += chunk.length;
    if (extended) extended.length += chunk.length;
    else {
      lease?.hold();
      this.#ranges.push({ first: chunk, length: chunk.length, lease });
    }
    this.#pump();
    return true;
  }

  /** Resolves when at most this many bytes are queued or the reader is gone; undefined if already so. */
  drained(bytes: number): Promise<void> | undefined {
    return this.#progress.until(() => this.queued <= bytes || this.gone || this.#aborted);
  }

  /** Ends all waits for the reader, now and later. */
  abortPending(): void {
    this.#aborted = true;
    this.#progress.advance();
  }

  /** Memory of the queue with this many more bytes. */
  #memory(more: number, extended: Range | undefined): number {
    const ranges = this.#inFlight.length + this.#ranges.length + (extended ? 0 : 1);
    return this.queued + more + ranges * RANGE_MEMORY;
  }

  #pump(): void {
    if (this.#writing || this.#ranges.length === 0) return;
    this.#writing = true;
    let bytes = 0;
    let count = 0;
    while (count < this.#ranges.length && bytes < WINDOW) bytes += this.#ranges[count++]!.length;
    this.#inFlight = this.#ranges.splice(0, count);
    const written = (error?: Error | null) => {
      if (error) return;
      this.#writing = false;
      for (const { lease } of this.#inFlight) lease?.done();
      this.#inFlight = [];
      this.queued -= bytes;
      this.progressAt = performance.now();
      this.#progress.advance();
      this.#pump();
    };
    this.stream.cork();
    for (const [i, range] of this.#inFlight.entries())
      this.stream.write(bytesOf(range), i === count - 1 ? written : undefined);
    this.stream.uncork();
  }
}

/** Whether a chunk directly follows a range, in memory with the same holder. */
function follows({ first, length, lease }: Range, chunk: Buffer, holder: Lease | undefined): boolean {
  return first.buffer === chunk.buffer && first.byteOffset + length === chunk.byteOffset && lease === holder;
}

function bytesOf({ first, length }: Range): Buffer {
  return first.length === length ? first : Buffer.from(first.buffer, first.byteOffset, length);
}
