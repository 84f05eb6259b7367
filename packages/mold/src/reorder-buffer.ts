/** Memory for what is held: one allocation for many packets. */
interface Slab {
  bytes: Buffer;
  /** Bytes in use, from its start. */
  used: number;
  /** What is held in it. */
  holds: number;
}

/** Messages of one packet; without a slab: given up. */
interface Entry {
  slab: Slab | undefined;
  offset: number;
  length: number;
  count: number;
}

const SLAB = 128 * 1024;
/** What it costs to hold a packet, however short, and to know the gap before it; about, in bytes. */
const ENTRY_COST = 256;

/** Messages that wait for what is missing before them, by their first number. */
export class ReorderBuffer {
  readonly #entries = new Map<number, Entry>();
  /** Bytes of all slabs in which something is held; the last that was begun. */
  #bytes = 0;
  #slab: Slab | undefined;

  /** @param window bytes that may be held; may change */
  constructor(private readonly window: () => number) {}

  /** Whether a packet of so many bytes, or of any size but the largest, can be held. */
  hasRoom(bytes = this.#slabBytes): boolean {
    const window = this.window();
    if (this.#entries.size * ENTRY_COST >= window) return false;
    return this.#fits(bytes) || this.#bytes + Math.max(this.#slabBytes, bytes) <= window;
  }

  /** Keeps a copy of messages that lie one behind the other. */
  put(first: number, count: number, bytes: Buffer, offset: number, length: number): void {
    const slab = this.#slabFor(length);
    this.#entries.set(first, { slab, offset: slab.used, length, count });
    bytes.copy(slab.bytes, slab.used, offset, offset + length);
    slab.used += length;
    slab.holds++;
  }

  /** These messages will not come: in their place nothing waits. */
  giveUp(first: number, count: number): void {
    this.#entries.set(first, { slab: undefined, offset: 0, length: 0, count });
  }

  /**
   * Takes out the messages that begin with a number.
   * @returns how many they are; 0 when none are there
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
    if (--slab.holds > 0) return;
    // The one that is being filled begins anew.
    if (slab === this.#slab) slab.used = 0;
    else this.#bytes -= slab.bytes.length;
  }

  #fits(bytes: number): boolean {
    return this.#slab !== undefined && this.#slab.used + bytes <= this.#slab.bytes.length;
  }

  #slabFor(bytes: number): Slab {
    if (!this.#slab || !this.#fits(bytes)) {
      const size = Math.max(this.#slabBytes, bytes);
      this.#slab = { bytes: Buffer.allocUnsafeSlow(size), used: 0, holds: 0 };
      this.#bytes += size;
    }
    return this.#slab;
  }

  get #slabBytes(): number {
    return Math.min(SLAB, this.window());
  }
}
