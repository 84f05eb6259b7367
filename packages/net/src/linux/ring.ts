import { Batch } from 'mproxy-framing/batch';
import { NAME_SIZE, NAME_SPACE } from './layout.js';
import type { Senders } from './senders.js';

/** Bytes of data, of one socket and of many. Pages that were never written to take no memory. */
const SINGLE_CAPACITY = 4 * 1024 * 1024;
export const CAPACITY = 32 * 1024 * 1024;
/**
 * Before each entry: a word of its length and whether it has a sender, one of its segment size (low half) and
 * owner (high half), then the sender, if any. Data is padded to 8 bytes.
 */
const HEADER = 8;
const NAMED = 0x8000_0000;
const LENGTH = 0x7fff_ffff;
/** Owners of one ring, at most. */
export const MAX_OWNERS = 65_536;
/** Marks that the next entry is at the start, as it does not fit before the end. */
const WRAP = 0xffff_ffff;

/** An empty ring restarts beyond this offset, in bytes: without backlog it stays in the processor's cache. */
const RESTART = 1024 * 1024;

const WRITTEN = 0;
const READ = 1;
const ASLEEP = 2;
const LIMIT = 3;

/**
 * Passes datagrams in order from one writing thread to one reading thread, without locks. Bounded: an entry
 * that does not fit is refused.
 */
export class Ring {
  readonly #state: Int32Array;
  readonly #bytes: Buffer;
  readonly #words: Uint32Array;
  /** Receiver of the entries written from now on, or of the last batch read; less than {@link MAX_OWNERS}. */
  owner = 0;
  /** Bytes of space that entries written from now on must leave free, for others. */
  reserve = 0;
  /** Where the last batch read ends. */
  #end = 0;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(64 + CAPACITY)) {
    this.#state = new Int32Array(buffer, 0, 16);
    this.#bytes = Buffer.from(buffer, 64);
    this.#words = new Uint32Array(buffer, 64);
    if (this.#bytes.length !== CAPACITY) throw new RangeError('not a ring');
    Atomics.compareExchange(this.#state, LIMIT, 0, CAPACITY);
  }

  /** Bytes that fit. */
  get capacity(): number {
    return this.#state[LIMIT]!;
  }

  /** Before anything is written: one socket needs less. */
  shrink(): void {
    Atomics.store(this.#state, LIMIT, SINGLE_CAPACITY);
  }

  get empty(): boolean {
    return Atomics.load(this.#state, WRITTEN) === Atomics.load(this.#state, READ);
  }

  /**
   * @param names if given, holds the sender's socket address, at word `nameAt`
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
    const header = names ? HEADER + NAME_SPACE : HEADER;
    const size = header + ((length + 7) & ~7);
    const read = Atomics.load(this.#state, READ);
    let at = Atomics.load(this.#state, WRITTEN);
    const { capacity } = this;
    if (this.reserve > 0 && unread(read, at, capacity) + size > capacity - this.reserve) return false;
    if (at >= read && (at + size + HEADER > capacity || (at === read && at > RESTART))) {
      // The entry goes to the start, and must end before the read position.
      if (read <= size) return false;
      this.#words[at >> 2] = WRAP;
      at = 0;
    } else if (at < read && at + size >= read) return false;
    this.#words[at >> 2] = names ? length | NAMED : length;
    this.#words[(at >> 2) + 1] = segment | (this.owner << 16);
    if (names) {
      const to = (at + HEADER) >> 2;
      for (let i = 0; i < NAME_SIZE / 4; i++) this.#words[to + i] = names[nameAt + i]!;
    }
    slab.copy(this.#bytes, at + header, offset, offset + length);
    Atomics.store(this.#state, WRITTEN, at + size);
    return true;
  }

  /** Whether the reader sleeps and must be woken; true once per sleep. */
  wakes(): boolean {
    return Atomics.exchange(this.#state, ASLEEP, 0) === 1;
  }

  /**
   * Fills a batch with the next entries of one owner; their bytes are valid until {@link release}.
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
    this.owner = ends.owner;
    for (let at = ends.from; at < ends.to; ) {
      const length = this.#words[at >> 2]! & LENGTH;
      batch.add(at + this.#headerAt(at), length, this.#words[(at >> 2) + 1]! & 0xffff);
      at += this.#sizeAt(at);
    }
    this.#end = ends.to;
    return true;
  }

  /** Sets the sender of each entry of the batch read; all have one. */
  tell(batch: Batch, senders: Senders): void {
    for (let i = 0; i < batch.count; i++) {
      batch.from[i] = senders.of(this.#words, (batch.offset[i]! - NAME_SPACE) >> 2);
    }
  }

  /** Frees the space of the last batch read. */
  release(): void {
    Atomics.store(this.#state, READ, this.#end);
  }

  /** The contiguous entries of one owner at the read position, at most a full batch. */
  #span(): { from: number; to: number; count: number; owner: number } {
    const written = Atomics.load(this.#state, WRITTEN);
    let from = Atomics.load(this.#state, READ);
    if (from !== written && this.#words[from >> 2] === WRAP) from = 0;
    const owner = this.#ownerAt(from);
    let to = from;
    let count = 0;
    while (to !== written && count < Batch.capacity) {
      if (this.#words[to >> 2] === WRAP || this.#ownerAt(to) !== owner) break;
      to += this.#sizeAt(to);
      count++;
    }
    return { from, to, count, owner };
  }

  #ownerAt(at: number): number {
    return this.#words[(at >> 2) + 1]! >>> 16;
  }

  #headerAt(at: number): number {
    return this.#words[at >> 2]! & NAMED ? HEADER + NAME_SPACE : HEADER;
  }

  /** Bytes of the entry at an offset. */
  #sizeAt(at: number): number {
    return this.#headerAt(at) + (((this.#words[at >> 2]! & LENGTH) + 7) & ~7);
  }
}

function unread(read: number, written: number, capacity: number): number {
  return written >= read ? written - read : capacity - read + written;
}
