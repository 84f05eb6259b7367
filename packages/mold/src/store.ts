import { Copier, SLACK } from './copier.js';
import { countOf, sequenceOf } from './packet.js';

/** Maximum capacity: offsets in the copier's memory have 32 bits. */
const MAX_CAPACITY = 2 ** 32 - 2 ** 20;
/** Bytes for lines to be packed, behind the slab. */
const LINES_SIZE = 64 * 1024;
/** Bytes of the slab to populate at once. */
const POPULATE_SIZE = 256 * 1024;
/** Initial size of the index; a power of two, as it doubles. */
const INITIAL_INDEX = 1024;

/** Position of a packet in the store's slab, in bytes. */
export interface Stored {
  offset: number;
  length: number;
}

/**
 * The packets of one session as sent, each contiguous, in a ring buffer where the newest overwrite the
 * oldest. They are found by the numbers in their headers, which must ascend without a gap.
 */
export class PacketStore {
  /** The ring buffer. The system allocates its memory on first use. */
  readonly slab: Buffer;
  /** Packs {@link lines} into messages, directly in the slab. */
  readonly copier: Copier;
  readonly lines: Buffer;
  /** Offset of {@link lines} in the copier's memory, which starts with the slab. */
  readonly linesAt: number;
  #offsets = new Uint32Array(INITIAL_INDEX);
  #lengths = new Uint16Array(INITIAL_INDEX);
  /** The index is a ring too: position of the oldest packet, and number of packets. */
  #head = 0;
  #count = 0;
  /** Where the newest packet ends. */
  #end = 0;
  #reserved = 0;
  #reservedSize = 0;
  /** End of the populated part of the slab. */
  #populated = 0;

  /**
   * @param capacity bytes, at least the largest packet and 32, at most 4,095 MiB
   * @param populate is called with each part of the slab before its first use, to have its pages allocated
   */
  constructor(
    capacity: number,
    private readonly populate: (part: Buffer) => void = () => undefined,
  ) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > MAX_CAPACITY)
      throw new RangeError(`a store of ${capacity} bytes`);
    this.linesAt = capacity + SLACK;
    this.copier = new Copier(this.linesAt + LINES_SIZE + SLACK);
    this.slab = this.copier.memory.subarray(0, capacity);
    this.lines = this.copier.memory.subarray(this.linesAt, this.linesAt + LINES_SIZE);
  }

  /** Packets held. */
  get packets(): number {
    return this.#count;
  }

  /** The first sequence number held; undefined if the store is empty. */
  get oldest(): number | undefined {
    return this.#count === 0 ? undefined : sequenceOf(this.slab, this.#offsets[this.#head]!);
  }

  /**
   * Reserves room for a packet of up to `size` bytes. A reservation that was not committed is discarded.
   * @returns the offset to write it at
   */
  reserve(size: number): number {
    const { length } = this.slab;
    if (size > length) throw new RangeError(`${size} bytes in a store of ${length}`);
    let at = this.#end;
    if (at + size > length) {
      // Packets behind the newest one are older than those at the start.
      while (this.#count > 0 && this.#offsets[this.#head]! >= at) this.#dropOldest();
      at = 0;
    }
    while (this.#count > 0 && this.#liesWithin(at, at + size)) this.#dropOldest();
    this.#reserved = at;
    this.#reservedSize = size;
    if (at + size > this.#populated) this.#populateTo(at + size);
    return at;
  }

  /** Keeps the packet last reserved. @param length bytes, 20 to 65,535 and at most as reserved */
  commit(length: number): void {
    if (length > this.#reservedSize)
      throw new RangeError(`a packet of ${length} bytes where ${this.#reservedSize} are reserved`);
    if (this.#count === this.#offsets.length) this.#growIndex();
    const place = (this.#head + this.#count) & (this.#offsets.length - 1);
    this.#offsets[place] = this.#reserved;
    this.#lengths[place] = length;
    this.#count++;
    this.#end = this.#reserved + length;
    this.#reservedSize = 0;
  }

  /** The packet with the message of this number; undefined if it is not held (any more, or yet). */
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

  /** Approximate bytes stored since the message of this number; the capacity if it is not held. */
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

  #populateTo(end: number): void {
    const from = this.#populated;
    this.#populated = Math.max(end, from + POPULATE_SIZE);
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
    this.#offsets = unrollRing(this.#offsets, this.#head, new Uint32Array(places));
    this.#lengths = unrollRing(this.#lengths, this.#head, new Uint16Array(places));
    this.#head = 0;
  }
}

/** Copies a full ring into a larger one, from its oldest element on. */
function unrollRing<Places extends Uint32Array | Uint16Array>(
  ring: Places,
  head: number,
  into: Places,
): Places {
  into.set(ring.subarray(head));
  into.set(ring.subarray(0, head), ring.length - head);
  return into;
}
