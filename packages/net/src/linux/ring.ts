import { Batch } from 'mproxy-framing';
import { NAME_SIZE, NAME_SPACE } from './layout.js';
import type { Senders } from './senders.js';

/** Bytes between a receiving thread and the event loop. */
const CAPACITY = 4 * 1024 * 1024;
/** Before each entry: its length and its segment size; then who sent it, where asked for; its bytes are padded to 8. */
const HEADER = 8;
/** Stands where an entry would not fit before the end: the next one is at the start. */
const WRAP = 0xffff_ffff;

/** A ring that is empty begins anew from here on: one that is never behind stays in the processor's cache. */
const FAR = 1024 * 1024;

const WRITTEN = 0;
const READ = 1;
const ASLEEP = 2;

/**
 * Carries datagrams from the one thread that writes to the one that reads, in order, without either waiting for the
 * other. Bounded: an entry that does not fit is not taken.
 */
export class Ring {
  readonly #state: Int32Array;
  readonly #bytes: Buffer;
  readonly #words: Uint32Array;
  readonly #header: number;
  /** Where the batch that was read ends. */
  #end = 0;

  /** @param named whether each entry says who sent it; the same on both sides */
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
   * Takes an entry.
   * @param names in a named ring: holds the sender's socket address, at this word
   * @returns false when there is no room for it
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
    if (at >= read && (at + size + HEADER > CAPACITY || (at === read && at > FAR))) {
      // Between the end and the start nothing else fits; the start must stay behind the reader.
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

  /** Whether the reader sleeps, and must be woken; says so once. */
  wakes(): boolean {
    return Atomics.exchange(this.#state, ASLEEP, 0) === 1;
  }

  /**
   * Fills a batch with the next entries; their bytes stay until {@link release}.
   * @returns false when there are none; then the reader sleeps until it is woken
   */
  read(batch: Batch): boolean {
    const ends = this.#span();
    if (ends.count === 0) {
      Atomics.store(this.#state, ASLEEP, 1);
      // The writer may have written between the look and the nap.
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

  /** Tells who sent each entry of the batch that was read, in a named ring. */
  tell(batch: Batch, senders: Senders): void {
    for (let i = 0; i < batch.count; i++) {
      batch.from[i] = senders.of(this.#words, (batch.offset[i]! - NAME_SPACE) >> 2);
    }
  }

  /** What was read is done with: its place may be written again. */
  release(): void {
    Atomics.store(this.#state, READ, this.#end);
  }

  /** The entries that lie one behind the other, as many as a batch takes. */
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
