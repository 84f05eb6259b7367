import type { Writable } from 'node:stream';
import type { Lease } from './coalescer.js';

/** Bytes handed to the stream at once: small enough that a slow reader's progress is seen (see `progressAt`). */
const WINDOW = 128 * 1024;
/** About what a range takes in V8, in bytes: the object, its view of the memory and its place in the list. */
const RANGE_MEMORY = 200;

/** Bytes to be written that lie in one piece of memory. */
interface Range {
  first: Buffer;
  /** Bytes from the start of `first`; chunks that lie right behind it belong to the same range. */
  length: number;
  lease: Lease | undefined;
}

/**
 * The queue of one reader before its stream. Node queues without limit what a pipe or socket does not take, so the
 * queue is kept here. Memory is shared: a thousand readers that are behind hold one copy, and each of them a list of
 * ranges.
 */
export class OutputQueue {
  /** Bytes that the reader has yet to take. */
  queued = 0;
  /** When it last took something, or last had nothing to take; by `performance.now()`. */
  progressAt = performance.now();
  #ranges: Range[] = [];
  /** Those that the stream has. */
  #lent: Range[] = [];
  #writing = false;
  #gone = false;
  #hurried = false;
  #progress: Promise<void> | undefined;
  #wakeAll: () => void = () => undefined;

  constructor(
    readonly stream: Writable,
    /** Bytes of memory at most, the list included; one chunk always fits an empty queue. */
    private readonly limit: number,
  ) {
    const leave = () => {
      this.#gone = true;
      for (const { lease } of [...this.#lent, ...this.#ranges]) lease?.abandon();
      this.#lent = [];
      this.#ranges = [];
      this.#wake();
    };
    // Both stay: process.stdout undoes its own destruction, and each later write fails anew.
    stream.on('error', leave);
    stream.on('close', leave);
  }

  /** Whether the reader is gone for good. */
  get gone(): boolean {
    return this.#gone || this.stream.destroyed;
  }

  /**
   * Takes a chunk, never a part of it.
   * @param lease held until the stream is done with the chunk, or abandoned where the reader is gone first
   * @returns false when there is no room
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

  /** Resolves when at most so many bytes are queued, or the reader is gone; undefined when it is so already. */
  drained(most: number): Promise<void> | undefined {
    if (this.queued <= most || this.gone || this.#hurried) return undefined;
    // One promise for all who wait, however many ask.
    this.#progress ??= new Promise<void>((resolve) => {
      this.#wakeAll = resolve;
    });
    return this.#progress.then(() => this.drained(most));
  }

  /** From now on nobody waits for the reader. */
  abortPending(): void {
    this.#hurried = true;
    this.#wake();
  }

  /** Memory of the queue with so many bytes more. */
  #memory(more: number, extended: Range | undefined): number {
    const ranges = this.#lent.length + this.#ranges.length + (extended ? 0 : 1);
    return this.queued + more + ranges * RANGE_MEMORY;
  }

  #pump(): void {
    if (this.#writing || this.#ranges.length === 0) return;
    this.#writing = true;
    let bytes = 0;
    let count = 0;
    while (count < this.#ranges.length && bytes < WINDOW) bytes += this.#ranges[count++]!.length;
    this.#lent = this.#ranges.splice(0, count);
    const written = (error?: Error | null) => {
      if (error) return;
      this.#writing = false;
      for (const { lease } of this.#lent) lease?.done();
      this.#lent = [];
      this.queued -= bytes;
      this.progressAt = performance.now();
      this.#wake();
      this.#pump();
    };
    this.stream.cork();
    for (const [i, range] of this.#lent.entries())
      this.stream.write(bytesOf(range), i === count - 1 ? written : undefined);
    this.stream.uncork();
  }

  #wake(): void {
    this.#progress = undefined;
    this.#wakeAll();
  }
}

/** Whether a chunk lies right behind a range, in memory with the same holder. */
function follows({ first, length, lease }: Range, chunk: Buffer, holder: Lease | undefined): boolean {
  return first.buffer === chunk.buffer && first.byteOffset + length === chunk.byteOffset && lease === holder;
}

function bytesOf({ first, length }: Range): Buffer {
  return first.length === length ? first : Buffer.from(first.buffer, first.byteOffset, length);
}
