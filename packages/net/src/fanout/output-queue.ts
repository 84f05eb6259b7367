import type { Lease } from 'mproxy-framing';
import { Progress } from '../progress.js';

/** Bytes handed to the output at once: few, to see a slow reader's progress (see `progressAt`). */
const WINDOW = 128 * 1024;
/** Approximate memory of a range in V8, in bytes: object, view of the memory and list entry. */
const RANGE_MEMORY = 200;

/** Bytes to write that are contiguous in memory. */
interface Range {
  first: Buffer;
  /** Bytes from the start of `first`; chunks that directly follow it extend the range. */
  length: number;
  /** Datagrams that end in it. */
  datagrams: number;
  lease: Lease | undefined;
}

/** Where a queue's bytes go: a connection, or a stream of Node (see `writableOutput`). */
export interface Output {
  /** @returns whether all bytes were taken at once; else {@link OutputQueue.taken} is called when they are */
  write(bytes: readonly Buffer[]): boolean;
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
  /** Whether the reader is gone. */
  gone = false;
  #ranges: Range[] = [];
  /** Ranges handed to the output. */
  #inFlight: Range[] = [];
  #writing = false;
  #aborted = false;
  /** Bytes that the reader took since the start. */
  #taken = 0;
  readonly #progress = new Progress();

  constructor(
    private readonly output: Output,
    /** Limit on memory in bytes, the list included; one chunk always fits an empty queue. */
    private readonly limit: number,
  ) {}

  /** Datagrams that the reader may not have taken whole: all those of what was handed to the output last, and of what waits. */
  get datagrams(): number {
    return [...this.#inFlight, ...this.#ranges].reduce((sum, { datagrams }) => sum + datagrams, 0);
  }

  /** The output took what it was given. */
  taken(): void {
    this.#remove();
    this.#pump();
  }

  /** The reader is gone. The kernel may still read what was in flight. */
  abandon(): void {
    this.gone = true;
    for (const { lease } of [...this.#inFlight, ...this.#ranges]) lease?.abandon();
    this.#inFlight = [];
    this.#ranges = [];
    this.#progress.advance();
  }

  /**
   * Takes a whole chunk.
   * @param lease held until the output took the chunk, abandoned if the reader is gone first
   * @param datagrams that end in it, for {@link datagrams}
   * @returns false when the queue is full or the reader is gone
   */
  offer(chunk: Buffer, lease?: Lease, datagrams = 0): boolean {
    const last = this.#ranges.at(-1);
    const extended = last !== undefined && follows(last, chunk, lease) ? last : undefined;
    if (this.gone || (this.queued > 0 && this.#memory(chunk.length, extended) > this.limit)) return false;
    if (this.queued === 0) this.progressAt = performance.now();
    this.queued += chunk.length;
    if (extended) {
      extended.length += chunk.length;
      extended.datagrams += datagrams;
    } else {
      lease?.hold();
      this.#ranges.push({ first: chunk, length: chunk.length, datagrams, lease });
    }
    this.#pump();
    return true;
  }

  /** Resolves when at most this many bytes are queued or the reader is gone; undefined if already so. */
  drained(bytes: number): Promise<void> | undefined {
    return this.#progress.until(() => this.queued <= bytes || this.gone || this.#aborted);
  }

  /** Resolves when what is queued now was taken; undefined when nothing is. Never when the reader is gone. */
  passed(): Promise<void> | undefined {
    const end = this.#taken + this.queued;
    return this.#progress.until(() => this.#taken >= end);
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
    while (!this.#writing && this.#ranges.length > 0) {
      let count = 0;
      for (let bytes = 0; count < this.#ranges.length && bytes < WINDOW; count++)
        bytes += this.#ranges[count]!.length;
      this.#inFlight = this.#ranges.splice(0, count);
      this.#writing = true;
      if (!this.output.write(this.#inFlight.map(bytesOf))) return;
      this.#remove();
    }
  }

  #remove(): void {
    this.#writing = false;
    for (const { lease, length } of this.#inFlight) {
      lease?.done();
      this.queued -= length;
      this.#taken += length;
    }
    this.#inFlight = [];
    this.progressAt = performance.now();
    this.#progress.advance();
  }
}

/** Whether a chunk directly follows a range, in memory with the same holder. */
function follows({ first, length, lease }: Range, chunk: Buffer, holder: Lease | undefined): boolean {
  return first.buffer === chunk.buffer && first.byteOffset + length === chunk.byteOffset && lease === holder;
}

function bytesOf({ first, length }: Range): Buffer {
  return first.length === length ? first : Buffer.from(first.buffer, first.byteOffset, length);
}
