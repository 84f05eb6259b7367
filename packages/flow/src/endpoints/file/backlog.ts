/** About what a small Buffer and its place in the lists take in V8, in bytes. */
const PIECE_MEMORY = 200;

interface Piece {
  bytes: Buffer;
  datagrams: number;
  /** Whether a datagram begins with it. */
  begins: boolean;
  /** The lengths of its datagrams, where they are known. */
  sizes: Uint16Array | undefined;
}

/** Pieces that are to be written, in order, with how many datagrams each brings to its end. */
export class Backlog {
  bytes = 0;
  datagrams = 0;
  #pieces: Piece[] = [];
  /** Bytes of the first piece that are written. */
  #begun = 0;

  /** Bytes of memory that it takes, about: a datagram of one byte takes more than that. */
  get memory(): number {
    const { BYTES_PER_ELEMENT } = Uint16Array;
    return this.bytes + this.#pieces.length * PIECE_MEMORY + this.datagrams * BYTES_PER_ELEMENT;
  }

  get empty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Whether the next byte to be written is a datagram's first. */
  get between(): boolean {
    return this.#begun === 0 && this.#pieces[0]?.begins !== false;
  }

  /** Datagrams of the first piece that are written to their end, though the piece is not; as far as that is known. */
  get whole(): number {
    return this.#whole().count;
  }

  add(bytes: Buffer, datagrams: number, begins = true, sizes?: Uint16Array): void {
    this.#pieces.push({ bytes, datagrams, begins, sizes });
    this.bytes += bytes.length;
    this.datagrams += datagrams;
  }

  /** Copies what is left, as its bytes were lent. */
  keep(): void {
    for (const piece of this.#pieces) {
      piece.bytes = Buffer.from(piece.bytes);
      piece.sizes = piece.sizes?.slice();
    }
  }

  /** Whether there is room for the first datagrams that were added together. */
  fits(room: number): boolean {
    return this.bytes <= room || this.#length(this.#next(0)) <= room;
  }

  /** The first pieces: at most so many, and as many as there is room for, but one. No datagram is parted for want of room. */
  first(count: number, room = Number.POSITIVE_INFINITY): Buffer[] {
    const most = this.bytes <= room ? count : this.#fitting(count, room);
    const pieces = this.#pieces.slice(0, most).map(({ bytes }) => bytes);
    if (this.#begun > 0) pieces[0] = pieces[0]!.subarray(this.#begun);
    return pieces;
  }

  #fitting(count: number, room: number): number {
    let fit = this.#next(0);
    let bytes = this.#length(fit);
    while (fit < count && fit < this.#pieces.length) {
      const next = this.#next(fit);
      for (let i = fit; i < next; i++) bytes += this.#pieces[i]!.bytes.length;
      if (bytes > room) break;
      fit = next;
    }
    return Math.min(fit, count);
  }

  /** The piece after this one that a datagram begins with. */
  #next(after: number): number {
    let at = after + 1;
    while (this.#pieces[at]?.begins === false) at++;
    return Math.min(at, this.#pieces.length);
  }

  /** Bytes of so many pieces that are not yet written. */
  #length(count: number): number {
    let bytes = -this.#begun;
    for (let i = 0; i < count; i++) bytes += this.#pieces[i]!.bytes.length;
    return bytes;
  }

  /** So many bytes were written. @returns how many datagrams are out to their end by that */
  written(bytes: number): number {
    let left = bytes + this.#begun;
    let whole = 0;
    let datagrams = 0;
    while (whole < this.#pieces.length && left >= this.#pieces[whole]!.bytes.length) {
      left -= this.#pieces[whole]!.bytes.length;
      datagrams += this.#pieces[whole]!.datagrams;
      whole++;
    }
    this.#pieces = this.#pieces.slice(whole);
    this.#begun = left;
    this.bytes -= bytes;
    this.datagrams -= datagrams;
    return datagrams;
  }

  /**
   * What follows goes to another file: a datagram that was begun is written there from its start; a piece, where it is not known
   * where its datagrams end.
   * @returns how many datagrams stay in the old one
   */
  beginAgain(): number {
    const { count, bytes } = this.#whole();
    const first = this.#pieces[0];
    if (first && count > 0) {
      first.bytes = first.bytes.subarray(bytes);
      first.sizes = first.sizes?.subarray(count);
      first.datagrams -= count;
      this.datagrams -= count;
    }
    this.bytes += this.#begun - bytes;
    this.#begun = 0;
    return count;
  }

  #whole(): { count: number; bytes: number } {
    const sizes = this.#pieces[0]?.sizes ?? [];
    let count = 0;
    let bytes = 0;
    while (count < sizes.length && bytes + sizes[count]! <= this.#begun) bytes += sizes[count++]!;
    return { count, bytes };
  }

  clear(): void {
    this.#pieces = [];
    this.#begun = this.bytes = this.datagrams = 0;
  }
}
