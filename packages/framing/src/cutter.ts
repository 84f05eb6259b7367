/** The largest UDP payload over IPv4: 65,535 less an IP header of 20 (RFC 791) and a UDP header of 8 (RFC 768). */
export const MAX_DATAGRAM = 65_507;

export const NEWLINE = 0x0a;

/** Takes datagrams: `count` of `length` bytes each, one behind the other. These bytes are never written again. */
export type Emit = (slab: Buffer, offset: number, length: number, count: number) => void;

const SMALL_SLAB = 8 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);

/**
 * Cuts one byte stream into datagrams. What was pushed and not yet emitted is a window of a slab: the
 * pushed chunk itself while nothing is left over from the one before, else a slab of the cutter's own that
 * grows in large steps, so that a byte at a time costs no more than a block at a time. What waits takes at most 64 KiB
 * once {@link compact} was called.
 *
 * Invariant: joining what was emitted gives what was pushed, but for the delimiter that {@link breakOff}
 * may add, and for the counts of `octet-counted`.
 */
export abstract class Cutter {
  protected slab = EMPTY;
  protected start = 0;
  protected end = 0;
  /** Records of the stream that no datagram can carry, or that it ended inside of. */
  discarded = 0;
  /** No delimiter stands between `start` and here, so a search goes on from here. */
  protected searched = 0;
  #ownsSlab = false;
  #insideLine = false;

  constructor(
    protected readonly payload: number,
    private readonly emit: Emit,
    /** The byte that ends a record; what has no records is not searched for it. */
    protected readonly delimiter = NEWLINE,
  ) {}

  /** Bytes that wait for more input. */
  get pending(): number {
    return this.end - this.start;
  }

  /**
   * Takes the next bytes, and emits every datagram that more input cannot change. The chunk is kept, not copied.
   * @param headroom bytes of memory before the chunk that may be overwritten, to put there what is left over
   */
  push(chunk: Buffer, headroom = 0): void {
    if (this.pending > 0 && this.pending <= headroom) this.#putBefore(chunk);
    else this.#append(chunk);
    this.cutFull();
  }

  /** Releases the memory that what waits does not need: a pause of the input may last for days. */
  compact(): void {
    const { pending } = this;
    if (pending === 0) this.#append(EMPTY);
    else if (this.slab.buffer.byteLength > MAX_DATAGRAM) this.#moveTo(pending);
  }

  /** The input has nothing more ready: emits what must not wait for company. */
  flush(): void {
    this.cutIdle();
  }

  /** Emits all that is left. */
  finish(): void {
    this.cutFull();
    this.cutIdle();
    while (this.pending > 0) this.emitNext(Math.min(this.pending, MAX_DATAGRAM));
  }

  /**
   * The stream broke off: emits all that is left, an unfinished record with its delimiter added, so that it is never
   * merged with another stream's.
   * @returns whether a delimiter was added
   */
  breakOff(): boolean {
    const open = this.pending > 0 ? this.slab[this.end - 1] !== this.delimiter : this.#insideLine;
    const ends = this.endsLines && open;
    if (ends) this.#append(Buffer.of(this.delimiter));
    this.finish();
    return ends;
  }

  /** Whether an unfinished record gets its delimiter when the stream breaks off. */
  protected abstract readonly endsLines: boolean;
  /** Emits the datagrams that are as full as they can be. */
  protected abstract cutFull(): void;
  /** Emits the datagrams that could be fuller, but need not wait. */
  protected abstract cutIdle(): void;

  protected emitNext(length: number, count = 1): void {
    const { slab, start } = this;
    this.start += length * count;
    if (this.searched < this.start) this.searched = this.start;
    this.#insideLine = slab[this.start - 1] !== this.delimiter;
    this.emit(slab, start, length, count);
  }

  /** The length of the record at `start`, its delimiter with it; -1 while that is not there. */
  protected lineLength(from: number): number {
    const at = this.slab.indexOf(this.delimiter, Math.max(from, this.searched));
    if (at < 0 || at >= this.end) {
      this.searched = this.end;
      return -1;
    }
    return at + 1 - this.start;
  }

  /** Leaves out what waits, from its first byte on. */
  protected skip(length: number): void {
    this.start += length;
  }

  #putBefore(chunk: Buffer): void {
    const held = this.pending;
    const slab = Buffer.from(chunk.buffer, chunk.byteOffset - held, held + chunk.length);
    this.slab.copy(slab, 0, this.start, this.end);
    this.searched -= this.start;
    this.start = 0;
    this.end = slab.length;
    this.slab = slab;
    this.#ownsSlab = false;
  }

  #append(chunk: Buffer): void {
    const held = this.pending;
    if (held === 0) {
      this.slab = chunk;
      this.#ownsSlab = false;
      this.start = this.searched = 0;
      this.end = chunk.length;
      return;
    }
    if (!this.#ownsSlab || this.end + chunk.length > this.slab.length) this.#moveTo(held + chunk.length);
    chunk.copy(this.slab, this.end);
    this.end += chunk.length;
  }

  /** @param needed bytes that must fit */
  #moveTo(needed: number): void {
    // Delimiters in what is not yet written: a search that finds none before `end` stops there.
    const slab = Buffer.alloc(slabSize(needed), this.delimiter);
    this.slab.copy(slab, 0, this.start, this.end);
    this.searched -= this.start;
    this.end -= this.start;
    this.start = 0;
    this.slab = slab;
    this.#ownsSlab = true;
  }
}

/** What waits is at most a datagram: a slab that grows beyond a few kilobytes gets room for one, and stays. */
function slabSize(needed: number): number {
  if (needed <= SMALL_SLAB) return 2 * needed;
  return Math.max(needed, MAX_DATAGRAM);
}
