import type { Writable } from 'node:stream';

/** Bytes handed to the stream at once: small enough that a slow reader's progress is seen (see `idleSince`). */
const WINDOW = 128 * 1024;

/**
 * The way out to one reader: a bounded queue before a stream. Node queues without bound what a pipe or socket does
 * not take, so the queue is kept here. Chunks are shared: a thousand readers that are behind hold one copy.
 */
export class Outlet {
  /** Bytes that the reader has yet to take. */
  queued = 0;
  /** When it last took something, or last had nothing to take; by `performance.now()`. */
  idleSince = performance.now();
  readonly #chunks: Buffer[] = [];
  #writing = false;
  #waiting: (() => void)[] = [];

  constructor(
    readonly stream: Writable,
    /** Bytes at most in the queue; one chunk always fits an empty one. */
    private readonly limit: number,
  ) {
    stream.once('close', () => this.#wake());
  }

  /** Takes a chunk, never a part of it. @returns false when there is no room */
  offer(chunk: Buffer): boolean {
    if (this.stream.destroyed || (this.queued > 0 && this.queued + chunk.length > this.limit)) return false;
    if (this.queued === 0) this.idleSince = performance.now();
    this.queued += chunk.length;
    this.#chunks.push(chunk);
    this.#pump();
    return true;
  }

  /** Resolves when at most so many bytes are queued, or the reader is gone; undefined when it is so already. */
  drained(most: number): Promise<void> | undefined {
    if (this.queued <= most || this.stream.destroyed) return undefined;
    return new Promise<void>((resolve) => this.#waiting.push(resolve)).then(() => this.drained(most));
  }

  #pump(): void {
    if (this.#writing || this.#chunks.length === 0) return;
    this.#writing = true;
    let bytes = 0;
    let count = 0;
    while (count < this.#chunks.length && bytes < WINDOW) bytes += this.#chunks[count++]!.length;
    const chunks = this.#chunks.splice(0, count);
    const written = (error?: Error | null) => {
      if (error) return;
      this.#writing = false;
      this.queued -= bytes;
      this.idleSince = performance.now();
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
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
