import type { Writable } from 'node:stream';
import type { Lease } from './gather.js';

/** Bytes handed to the stream at once: small enough that a slow reader's progress is seen (see `progressAt`). */
const WINDOW = 128 * 1024;

/**
 * The way out to one reader: a bounded queue before a stream. Node queues without bound what a pipe or socket does
 * not take, so the queue is kept here. Chunks are shared: a thousand readers that are behind hold one copy.
 */
export class Outlet {
  /** Bytes that the reader has yet to take. */
  queued = 0;
  /** When it last took something, or last had nothing to take; by `performance.now()`. */
  progressAt = performance.now();
  readonly #chunks: Buffer[] = [];
  readonly #leases: (Lease | undefined)[] = [];
  /** Those of the chunks that the stream has. */
  #lent: (Lease | undefined)[] = [];
  #writing = false;
  #gone = false;
  #hurried = false;
  #progress: Promise<void> | undefined;
  #wakeAll: () => void = () => undefined;

  constructor(
    readonly stream: Writable,
    /** Bytes at most in the queue; one chunk always fits an empty one. */
    private readonly limit: number,
  ) {
    const leave = () => {
      this.#gone = true;
      for (const lease of [...this.#lent, ...this.#leases.splice(0)]) lease?.abandon();
      this.#lent = [];
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
    if (this.gone || (this.queued > 0 && this.queued + chunk.length > this.limit)) return false;
    if (this.queued === 0) this.progressAt = performance.now();
    this.queued += chunk.length;
    this.#chunks.push(chunk);
    lease?.hold();
    this.#leases.push(lease);
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
  hurry(): void {
    this.#hurried = true;
    this.#wake();
  }

  #pump(): void {
    if (this.#writing || this.#chunks.length === 0) return;
    this.#writing = true;
    let bytes = 0;
    let count = 0;
    while (count < this.#chunks.length && bytes < WINDOW) bytes += this.#chunks[count++]!.length;
    const chunks = this.#chunks.splice(0, count);
    this.#lent = this.#leases.splice(0, count);
    const written = (error?: Error | null) => {
      if (error) return;
      this.#writing = false;
      for (const lease of this.#lent) lease?.done();
      this.#lent = [];
      this.queued -= bytes;
      this.progressAt = performance.now();
      this.#wake();
      this.#pump();
    };
    this.stream.cork();
    const last = chunks.pop()!;
    for (const chunk of chunks) this.stream.write(chunk);
    this.stream.write(last, written);
    this.stream.uncork();
  }

  #wake(): void {
    this.#progress = undefined;
    this.#wakeAll();
  }
}
