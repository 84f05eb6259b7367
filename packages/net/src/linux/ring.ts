import { Batch } from 'mproxy-framing';
import { NAME_SIZE, NAME_SPACE } from './layout.js';
import type { Senders } from './senders.js';

/** Bytes of data. */
const CAPACITY = 4 * 1024 * 1024;
/** Before each entry: length and segment size, then the sender in a named ring. Data is padded to 8 bytes. */
const HEADER = 8;
/** Marks that the next entry is at the start, as it does not fit before the end. */
const WRAP = 0xffff_ffff;

/** An empty ring restarts beyond this offset, in bytes: without backlog it stays in the processor's cache. */
const RESTART = 1024 * 1024;

const WRITTEN = 0;
const READ = 1;
const ASLEEP = 2;

/**
 * Passes datagrams in order from one writing thread to one reading thread, without locks. Bounded: an entry
 * that does not fit is refused.
 */
export class Ring {
  readonly #state: Int32Array;
  readonly #bytes: Buffer;
  readonly #words: Uint32Array;
  readonly #header: number;
  /** Where the last batch read ends. */
  #end = 0;

  /** @param named whether entries include their sender; the same on both sides */
  constructor(
    readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(64 + CAPACITY),
    readonly named = false,
  ) {
    this.#header = named ? HEADER + NAME_SPACE : HEADER;
    this.#state = new Int32Array(buffer, 0, 16);
    this.#bytes = Buffer.from(buffer, 64);
    this.#words = new Uint32Array(buffer, 64);
    if (this.#bytes.length !== CAPACITY) throw new RangeError('not a ring');
  }

  get empty(): boolean {
    return Atomics.load(this.#state, WRITTEN) === Atomics.load(this.#state, READ);
  }

  /**
   * @param names in a named ring: holds the sender's socket address, at word `nameAt`
   * @returns false when the ring is full
   */
  write(
    slab: Buffer,
    offset: number,
    length: number,
    segment: number,
    names?: Uint32Array,
    nameAt = 0,
  ): boolean {
    const size = this.#header + ((length + 7) & ~7);
    const read = Atomics.load(this.#state, READ);
    let at = Atomics.load(this.#state, WRITTEN);
    if (at >= read && (at + size + HEADER > CAPACITY || (at === read && at > RESTART))) {
      // The entry goes to the start, and must end before the read position.
      if (read <= size) return false;
      this.#words[at >> 2] = WRAP;
      at = 0;
    } else if (at < read && at + size >= read) return false;
    this.#words[at >> 2] = length;
    this.#words[(at >> 2) + 1] = segment;
    if (names) {
      const to = (at + HEADER) >> 2;
      for (let i = 0; i < NAME_SIZE / 4; i++) this.#words[to + i] = names[nameAt + i]!;
    }
    slab.copy(this.#bytes, at + this.#header, offset, offset + length);
    Atomics.store(this.#state, WRITTEN, at + size);
    return true;
  }

  /** Whether the reader sleeps and must be woken; true once per sleep. */
  wakes(): boolean {
    return Atomics.exchange(this.#state, ASLEEP, 0) === 1;
  }

  /**
   * Fills a batch with the next entries; their bytes are valid until {@link release}.
   * @returns false when the ring is empty; the reader then sleeps until woken
   */
  read(batch: Batch): boolean {
    const ends = this.#span();
    if (ends.count === 0) {
      Atomics.store(this.#state, ASLEEP, 1);
      // The writer may have written before it saw the flag.
      if (this.empty || !this.wakes()) return false;
      return this.read(batch);
    }
    batch.reset(this.#bytes);
    batch.lent = true;
    for (let at = ends.from; at < ends.to; ) {
      const length = this.#words[at >> 2]!;
      batch.add(at + this.#header, length, this.#words[(at >> 2) + 1]!);
      at += this.#header + ((length + 7) & ~7);
    }
    this.#end = ends.to;
    return true;
  }

  /** Sets the sender of each entry of the batch read, in a named ring. */
  tell(batch: Batch, senders: Senders): void {
    for (let i = 0; i < batch.count; i++) {
      batch.from[i] = senders.of(this.#words, (batch.offset[i]! - NAME_SPACE) >> 2);
    }
  }

  /** Frees the space of the last batch read. */
  release(): void {
    Atomics.store(this.#state, READ, this.#end);
  }

  /** The contiguous entries at the read position, at most a full batch. */
  #span(): { from: number; to: number; count: number } {
    const written = Atomics.load(this.#state, WRITTEN);
    let from = Atomics.load(this.#state, READ);
    if (from !== written && this.#words[from >> 2] === WRAP) from = 0;
    let to = from;
    let count = 0;
    while (to !== written && count < Batch.capacity && this.#words[to >> 2] !== WRAP) {
      to += this.#header + ((this.#words[to >> 2]! + 7) & ~7);
      count++;
    }
    return { from, to, count };
  }
}
