/** Memory for held packets: one allocation for many. */
interface Slab {
  bytes: Buffer;
  /** Bytes in use, from its start. */
  used: number;
  /** Entries in it. */
  entries: number;
}

/** Messages of one packet; without a slab they are lost. */
interface Entry {
  slab: Slab | undefined;
  offset: number;
  length: number;
  count: number;
}

const SLAB = 128 * 1024;
/** Approximate cost of a held packet besides its bytes, with the gap before it, in bytes. */
const ENTRY_COST = 256;

/** Messages received after a gap, by their first sequence number. */
export class ReorderBuffer {
  readonly #entries = new Map<number, Entry>();
  /** Bytes of all slabs with entries and of the current one. */
  #bytes = 0;
  #slab: Slab | undefined;

  /** @param window maximum bytes held; may change */
  constructor(private readonly window: () => number) {}

  /** Whether a packet of this size can be held; by default, one of the size of a slab. */
  hasRoom(bytes = this.#slabBytes): boolean {
    const window = this.window();
    if (this.#entries.size * ENTRY_COST >= window) return false;
    return this.#fits(bytes) || this.#bytes + Math.max(this.#slabBytes, bytes) <= window;
  }

  /** Holds a copy of contiguous messages. */
  put(first: number, count: number, bytes: Buffer, offset: number, length: number): void {
    const slab = this.#slabFor(length);
    this.#entries.set(first, { slab, offset: slab.used, length, count });
    bytes.copy(slab.bytes, slab.used, offset, offset + length);
    slab.used += length;
    slab.entries++;
  }

  /** Marks messages as lost. */
  giveUp(first: number, count: number): void {
    this.#entries.set(first, { slab: undefined, offset: 0, length: 0, count });
  }

  /**
   * Removes the messages that begin with a number.
   * @returns how many there are; 0 if none
   */
  take(
    first: number,
    deliver: (bytes: Buffer, offset: number, length: number, count: number) => void,
    lost: (first: number, count: number) => void,
  ): number {
    const entry = this.#entries.get(first);
    if (!entry) return 0;
    this.#entries.delete(first);
    const { slab, offset, length, count } = entry;
    if (slab) {
      deliver(slab.bytes, offset, length, count);
      this.#free(slab);
    } else lost(first, count);
    return count;
  }

  #free(slab: Slab): void {
    if (--slab.entries > 0) return;
    // The current slab is reused.
    if (slab === this.#slab) slab.used = 0;
    else this.#bytes -= slab.bytes.length;
  }

  #fits(bytes: number): boolean {
    return this.#slab !== undefined && this.#slab.used + bytes <= this.#slab.bytes.length;
  }

  #slabFor(bytes: number): Slab {
    if (!this.#slab || !this.#fits(bytes)) {
      const size = Math.max(this.#slabBytes, bytes);
      this.#slab = { bytes: Buffer.allocUnsafeSlow(size), used: 0, entries: 0 };
      this.#bytes += size;
    }
    return this.#slab;
  }

  get #slabBytes(): number {
    return Math.min(SLAB, this.window());
  }
}
