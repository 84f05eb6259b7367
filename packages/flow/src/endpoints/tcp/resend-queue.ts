import type { Lease } from 'mproxy-framing';
import type { Connection } from 'mproxy-net';
import { Progress } from 'mproxy-net';

/** Bytes handed to the connection at once: what a broken connection may have taken twice. */
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
  /** Bytes that connections took since the start. */
  #taken = 0;
  readonly #chunks: Chunk[] = [];
  #connection: Connection | undefined;
  #held = false;
  /** Chunks, the first ones, that the connection has not taken yet. */
  #given = 0;
  #aborted = false;
  readonly #progress = new Progress();

  /**
   * @param limit in bytes of memory
   * @param sent called when a connection took chunks
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

  /** Writes to a connection from now on. */
  attach(connection: Connection): void {
    this.#connection = connection;
    this.#held = false;
    this.#pump();
  }

  /** The connection took what it was given. */
  taken(): void {
    this.#remove();
    this.#pump();
  }

  /** Writes nothing more to the connection; what it has may still be taken. */
  hold(): void {
    this.#held = true;
  }

  /** The connection is closed: nothing uses any chunk. */
  detach(): void {
    this.#connection = undefined;
    this.#given = 0;
  }

  /** Resolves when at most this many bytes are queued, or after {@link abort}; undefined when it is so already. */
  drained(bytes: number): Promise<void> | undefined {
    return this.#progress.until(() => this.#bytes <= bytes || this.#aborted);
  }

  /** Resolves when a connection took what is queued now; undefined when nothing is. Not after {@link abort}. */
  passed(): Promise<void> | undefined {
    const end = this.#taken + this.#bytes;
    return this.#progress.until(() => this.#taken >= end);
  }

  /** Ends all waits for room, now and later. */
  abort(): void {
    this.#aborted = true;
    this.#progress.advance();
  }

  #pump(): void {
    const connection = this.#connection;
    while (connection && !this.#held && this.#given === 0 && this.#chunks.length > 0) {
      for (let bytes = 0; this.#given < this.#chunks.length && bytes < WINDOW; this.#given++)
        bytes += this.#chunks[this.#given]!.bytes.length;
      if (!connection.write(this.#chunks.slice(0, this.#given).map(({ bytes }) => bytes))) return;
      this.#remove();
    }
  }

  #remove(): void {
    let bytes = 0;
    let datagrams = 0;
    for (const chunk of this.#chunks.splice(0, this.#given)) {
      bytes += chunk.bytes.length;
      datagrams += chunk.datagrams;
      chunk.lease?.done();
    }
    this.#given = 0;
    this.#bytes -= bytes;
    this.#taken += bytes;
    this.datagrams -= datagrams;
    this.sent(datagrams, bytes);
    this.#progress.advance();
  }
}
