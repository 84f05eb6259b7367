import { Copier, SLACK } from './copier.js';
import { countOf, sequenceOf } from './packet.js';

/** The copier's memory has offsets of 32 bits. */
const MOST = 2 ** 32 - 2 ** 20;
/** Room for lines that are to be put into packets, behind the slab. */
const LINES = 64 * 1024;
/** Bytes of the slab that the system is asked for at once. */
const AHEAD = 256 * 1024;
/** Places of the index at first; a power of two, as it doubles. */
const FIRST_PLACES = 1024;

/** Where a packet lies in the store's slab, in bytes. */
export interface Stored {
  offset: number;
  length: number;
}

/**
 * The packets of one session as they were sent, each in one piece, in a ring of bytes: the newest overwrite the
 * oldest. They are found by the numbers in their own headers, which must ascend without a gap.
 */
export class PacketStore {
  /** What the offsets point into. Its memory is taken from the system when it is first used. */
  readonly slab: Buffer;
  /** Makes messages of what is in {@link lines}, right in the slab. */
  readonly copier: Copier;
  readonly lines: Buffer;
  /** Where {@link lines} begin in the copier's memory; the slab begins it. */
  readonly linesAt: number;
  #offsets = new Uint32Array(FIRST_PLACES);
  #lengths = new Uint16Array(FIRST_PLACES);
  /** The index is a ring too: where its oldest packet is, and how many there are. */
  #head = 0;
  #count = 0;
  /** Where the newest packet ends. */
  #end = 0;
  #reserved = 0;
  #room = 0;
  /** Up to where the slab's pages were asked for. */
  #populated = 0;

  /**
   * @param capacity bytes, at least the largest packet and 32, at most 4,095 MiB
   * @param populate is given each part of the slab before it is first written to, to have the system make its pages
   */
  constructor(
    capacity: number,
    private readonly populate: (part: Buffer) => void = () => undefined,
  ) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > MOST)
      throw new RangeError(`a store of ${capacity} bytes`);
    this.linesAt = capacity + SLACK;
    this.copier = new Copier(this.linesAt + LINES + SLACK);
    this.slab = this.copier.memory.subarray(0, capacity);
    this.lines = this.copier.memory.subarray(this.linesAt, this.linesAt + LINES);
  }

  /** Packets held. */
  get packets(): number {
    return this.#count;
  }

  /** The first sequence number still held; undefined while nothing is. */
  get oldest(): number | undefined {
    return this.#count === 0 ? undefined : sequenceOf(this.slab, this.#offsets[this.#head]!);
  }

  /**
   * Makes room for a packet of up to `size` bytes; what was reserved before and not committed is given up.
   * @returns where to write it
   */
  reserve(size: number): number {
    const { length } = this.slab;
    if (size > length) throw new RangeError(`${size} bytes in a store of ${length}`);
    let at = this.#end;
    if (at + size > length) {
      // What lies behind the newest packet is older than what lies at the start.
      while (this.#count > 0 && this.#offsets[this.#head]! >= at) this.#dropOldest();
      at = 0;
    }
    while (this.#count > 0 && this.#liesWithin(at, at + size)) this.#dropOldest();
    this.#reserved = at;
    this.#room = size;
    if (at + size > this.#populated) this.#ask(at + size);
    return at;
  }

  /** Keeps the packet that was written where {@link reserve} said. @param length bytes, 20 to 65,535, as reserved or fewer */
  commit(length: number): void {
    if (length > this.#room)
      throw new RangeError(`a packet of ${length} bytes where ${this.#room} are reserved`);
    if (this.#count === this.#offsets.length) this.#growIndex();
    const place = (this.#head + this.#count) & (this.#offsets.length - 1);
    this.#offsets[place] = this.#reserved;
    this.#lengths[place] = length;
    this.#count++;
    this.#end = this.#reserved + length;
    this.#room = 0;
  }

  /** The packet that holds the message of this number; undefined when none does (any more, or yet). */
  find(sequence: number): Stored | undefined {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sequenceOf(this.slab, this.#at(middle).offset) <= sequence) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const found = this.#at(low - 1);
    const first = sequenceOf(this.slab, found.offset);
    return sequence < first + countOf(this.slab, found.offset) ? found : undefined;
  }

  /** About how many bytes were kept since the message of this number; all that there are room for, where it is not held. */
  since(sequence: number): number {
    const { length } = this.slab;
    const found = this.find(sequence);
    return found ? (this.#end - found.offset + length) % length : length;
  }

  /** The i-th oldest packet. */
  #at(i: number): Stored {
    const place = (this.#head + i) & (this.#offsets.length - 1);
    return { offset: this.#offsets[place]!, length: this.#lengths[place]! };
  }

  #ask(end: number): void {
    const from = this.#populated;
    this.#populated = Math.max(end, from + AHEAD);
    this.populate(this.slab.subarray(from, this.#populated));
  }

  #liesWithin(from: number, to: number): boolean {
    const oldest = this.#offsets[this.#head]!;
    return oldest >= from && oldest < to;
  }

  #dropOldest(): void {
    this.#head = (this.#head + 1) & (this.#offsets.length - 1);
    this.#count--;
  }

  #growIndex(): void {
    const places = 2 * this.#offsets.length;
    this.#offsets = unrolled(this.#offsets, this.#head, new Uint32Array(places));
    this.#lengths = unrolled(this.#lengths, this.#head, new Uint16Array(places));
    this.#head = 0;
  }
}

/** Puts the places of a full ring into a larger one, from its oldest on. */
function unrolled<Places extends Uint32Array | Uint16Array>(
  ring: Places,
  head: number,
  into: Places,
): Places {
  into.set(ring.subarray(head));
  into.set(ring.subarray(0, head), ring.length - head);
  return into;
}
