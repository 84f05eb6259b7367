import type { Writable } from 'node:stream';
import type { Lease } from '../../stream/coalescer.js';
import { Progress } from '../../stream/progress.js';

/** Bytes handed to the stream at once: what a broken connection may have taken twice. */
const WINDOW = 64 * 1024;
/** Memory of a chunk in V8 besides its bytes, about. */
const CHUNK_MEMORY = 300;

/** Whole datagrams, as the frame writes them. */
interface Chunk {
  bytes: Buffer;
  datagrams: number;
  lease: Lease | undefined;
}

/** A queue whose chunks stay until a connection took them whole: the next connection gets those that the last one had not. */
export class ResendQueue {
  /** Datagrams in the queue. */
  datagrams = 0;
  #bytes = 0;
  readonly #chunks: Chunk[] = [];
  #stream: Writable | undefined;
  #held = false;
  #writing = false;
  #aborted = false;
  readonly #progress = new Progress();

  /**
   * @param limit in bytes of memory
   * @param sent called when a stream took chunks
   */
  constructor(
    private readonly limit: number,
    private readonly sent: (datagrams: number, bytes: number) => void,
  ) {}

  /** @returns false when there is no room */
  offer(bytes: Buffer, datagrams: number, lease?: Lease): boolean {
    const memory = this.#bytes + bytes.length + (this.#chunks.length + 1) * CHUNK_MEMORY;
    if (this.#chunks.length > 0 && memory > this.limit) return false;
    lease?.hold();
    this.#chunks.push({ bytes, datagrams, lease });
    this.#bytes += bytes.length;
    this.datagrams += datagrams;
    this.#pump();
    return true;
  }

  /** Writes to a stream from now on. */
  attach(stream: Writable): void {
    this.#stream = stream;
    this.#held = false;
    this.#writing = false;
    this.#pump();
  }

  /** Writes nothing more to the stream; what it has may still be taken. */
  hold(): void {
    this.#held = true;
  }

  /** The stream is closed: its kernel buffers no longer use any chunk. */
  detach(): void {
    this.#stream = undefined;
  }

  /** Resolves when at most this many bytes are queued, or after {@link abort}; undefined when it is so already. */
  drained(bytes: number): Promise<void> | undefined {
    return this.#progress.until(() => this.#bytes <= bytes || this.#aborted);
  }

  /** Ends all waits for room, now and later. */
  abort(): void {
    this.#aborted = true;
    this.#progress.advance();
  }

  #pump(): void {
    const stream = this.#stream;
    if (!stream || this.#held || this.#writing || this.#chunks.length === 0) return;
    this.#writing = true;
    let count = 0;
    for (let bytes = 0; count < this.#chunks.length && bytes < WINDOW; count++)
      bytes += this.#chunks[count]!.bytes.length;
    const written = (error?: Error | null) => {
      // A stream that is destroyed calls back without an error for what it did not take.
      if (error || stream.destroyed || stream !== this.#stream) return;
      this.#writing = false;
      this.#remove(count);
      this.#pump();
    };
    stream.cork();
    for (let i = 0; i < count; i++)
      stream.write(this.#chunks[i]!.bytes, i === count - 1 ? written : undefined);
    stream.uncork();
  }

  #remove(count: number): void {
    let bytes = 0;
    let datagrams = 0;
    for (const chunk of this.#chunks.splice(0, count)) {
      bytes += chunk.bytes.length;
      datagrams += chunk.datagrams;
      chunk.lease?.done();
    }
    this.#bytes -= bytes;
    this.datagrams -= datagrams;
    this.sent(datagrams, bytes);
    this.#progress.advance();
  }
}
