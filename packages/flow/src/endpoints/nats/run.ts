/** Limits of a run: datagrams, and bytes of several. */
const MAX_COUNT = 1024;
const MAX_BYTES = 60 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);

/** Contiguous datagrams, which one copy takes. */
export class Run {
  slab = EMPTY;
  /** Where the first is in the slab. */
  offset = 0;
  /** Bytes of all. */
  bytes = 0;
  count = 0;
  readonly sizes = new Uint32Array(MAX_COUNT);

  /** Adds a datagram; one of any size, if it is the first. @returns false: it does not lie behind the others, or they are enough */
  add(slab: Buffer, offset: number, length: number): boolean {
    if (this.count === 0) {
      this.slab = slab;
      this.offset = offset;
    } else if (!this.#continues(slab, offset, length)) return false;
    this.sizes[this.count++] = length;
    this.bytes += length;
    return true;
  }

  clear(): void {
    this.slab = EMPTY;
    this.count = this.bytes = 0;
  }

  #continues(slab: Buffer, offset: number, length: number): boolean {
    const isNext = slab === this.slab && offset === this.offset + this.bytes;
    return isNext && this.count < MAX_COUNT && this.bytes + length <= MAX_BYTES;
  }
}
