/** The largest UDP payload over IPv4: 65,535 less the headers of IP, 20 (RFC 791), and UDP, 8 (RFC 768). */
export const MAX_DATAGRAM = 65_507;

export const NEWLINE = 0x0a;

/** Takes `count` contiguous datagrams of `length` bytes each. The bytes are never overwritten. */
export type Emit = (slab: Buffer, offset: number, length: number, count: number) => void;

const SMALL_SLAB = 8 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);

/**
 * Splits a byte stream into datagrams. Pending bytes are a window of a slab: of the pushed chunk itself if
 * nothing was left over before, else of the cutter's own slab, which grows in large steps, so that single
 * bytes cost no more than blocks. After {@link compact} pending bytes use at most 64 KiB of memory.
 *
 * Invariant: the emitted datagrams joined are the input, except for a delimiter added by {@link breakOff} and
 * the counts of `octet-counted`.
 */
export abstract class Cutter {
  protected slab = EMPTY;
  protected start = 0;
  protected end = 0;
  /** Records that are too large for a datagram, or that the stream ended inside of. */
  discarded = 0;
  /** There is no delimiter between `start` and here: a search continues from here. */
  protected searched = 0;
  #ownsSlab = false;
  #insideLine = false;

  constructor(
    protected readonly payload: number,
    private readonly emit: Emit,
    /** The byte that ends a record; frames without records do not search for it. */
    protected readonly delimiter = NEWLINE,
  ) {}

  /** Bytes waiting for more input. */
  get pending(): number {
    return this.end - this.start;
  }

  /**
   * Takes the next bytes, and emits every datagram that more input cannot change. Does not copy the chunk.
   * @param headroom bytes before the chunk that may be overwritten with left-over bytes
   */
  push(chunk: Buffer, headroom = 0): void {
    if (this.pending > 0 && this.pending <= headroom) this.#prepend(chunk);
    else this.#append(chunk);
    this.cutFull();
  }

  /** Releases memory that pending bytes do not need: the input may pause for days. */
  compact(): void {
    const { pending } = this;
    if (pending === 0) this.#append(EMPTY);
    else if (this.slab.buffer.byteLength > MAX_DATAGRAM) this.#moveTo(pending);
  }

  /** Copies pending bytes that lie in the pushed chunk: it may be overwritten from now on. */
  own(): void {
    if (this.pending === 0) this.#append(EMPTY);
    else if (!this.#ownsSlab) this.#moveTo(this.pending);
  }

  /** No more input is ready: emits data that must not wait for more. */
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
   * The stream was interrupted: emits all that is left. A delimiter is added to an unfinished record, so that
   * it is never merged with another stream's.
   * @returns whether a delimiter was added
   */
  breakOff(): boolean {
    const open = this.pending > 0 ? this.slab[this.end - 1] !== this.delimiter : this.#insideLine;
    const ends = this.endsLines && open;
    if (ends) this.#append(Buffer.of(this.delimiter));
    this.finish();
    return ends;
  }

  /** Whether a delimiter is added to an unfinished record when the stream is interrupted. */
  protected abstract readonly endsLines: boolean;
  /** Emits the datagrams that more input cannot change. */
  protected abstract cutFull(): void;
  /** Emits the datagrams that are not full but must not wait. */
  protected abstract cutIdle(): void;

  protected emitNext(length: number, count = 1): void {
    const { slab, start } = this;
    this.start += length * count;
    if (this.searched < this.start) this.searched = this.start;
    this.#insideLine = slab[this.start - 1] !== this.delimiter;
    this.emit(slab, start, length, count);
  }

  /** The length of the record at `start` with its delimiter; -1 until that has arrived. */
  protected lineLength(from: number): number {
    const at = this.slab.indexOf(this.delimiter, Math.max(from, this.searched));
    if (at < 0 || at >= this.end) {
      this.searched = this.end;
      return -1;
    }
    return at + 1 - this.start;
  }

  /** Skips the first `length` pending bytes. */
  protected skip(length: number): void {
    this.start += length;
  }

  #prepend(chunk: Buffer): void {
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
    // Unused bytes are delimiters: a search that finds none before `end` stops there.
    const slab = Buffer.alloc(slabSize(needed), this.delimiter);
    this.slab.copy(slab, 0, this.start, this.end);
    this.searched -= this.start;
    this.end -= this.start;
    this.start = 0;
    this.slab = slab;
    this.#ownsSlab = true;
  }
}

/** At most a datagram is pending: a slab of more than a few kilobytes has room for one at once. */
function slabSize(needed: number): number {
  if (needed <= SMALL_SLAB) return 2 * needed;
  return Math.max(needed, MAX_DATAGRAM);
}
