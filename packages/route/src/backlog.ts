/** About what a small Buffer and its place in the lists take in V8, in bytes. */
const PIECE_MEMORY = 200;

/** Pieces that are to be written, in order, with how many datagrams each brings to its end. */
export class Backlog {
  bytes = 0;
  datagrams = 0;
  #pieces: Buffer[] = [];
  /** Bytes of the first piece that are written. */
  #begun = 0;
  #datagrams: number[] = [];
  /** Whether a datagram begins with the piece. */
  #begins: boolean[] = [];
  /** The lengths of its datagrams, where they are known. */
  #sizes: (Uint16Array | undefined)[] = [];

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
    return this.#begun === 0 && this.#begins[0] !== false;
  }

  /** Datagrams of the first piece that are written to their end, though the piece is not; as far as that is known. */
  get whole(): number {
    return this.#whole().count;
  }

  add(piece: Buffer, datagrams: number, begins = true, sizes?: Uint16Array): void {
    this.#pieces.push(piece);
    this.#datagrams.push(datagrams);
    this.#begins.push(begins);
    this.#sizes.push(sizes);
    this.bytes += piece.length;
    this.datagrams += datagrams;
  }

  /** Copies what is left, as its bytes were lent. */
  keep(): void {
    this.#pieces = this.#pieces.map((piece) => Buffer.from(piece));
    this.#sizes = this.#sizes.map((sizes) => sizes?.slice());
  }

  /** Whether there is room for the first datagrams that were added together. */
  fits(room: number): boolean {
    return this.bytes <= room || this.#length(this.#next(0)) <= room;
  }

  /** The first pieces: at most so many, and as many as there is room for, but one. No datagram is parted for want of room. */
  first(count: number, room = Number.POSITIVE_INFINITY): Buffer[] {
    const pieces = this.#pieces.slice(0, this.bytes <= room ? count : this.#fitting(count, room));
    if (this.#begun > 0) pieces[0] = pieces[0]!.subarray(this.#begun);
    return pieces;
  }

  #fitting(count: number, room: number): number {
    let fit = this.#next(0);
    let bytes = this.#length(fit);
    while (fit < count && fit < this.#pieces.length) {
      const next = this.#next(fit);
      for (let i = fit; i < next; i++) bytes += this.#pieces[i]!.length;
      if (bytes > room) break;
      fit = next;
    }
    return Math.min(fit, count);
  }

  /** The piece after this one that a datagram begins with. */
  #next(after: number): number {
    let at = after + 1;
    while (this.#begins[at] === false) at++;
    return Math.min(at, this.#pieces.length);
  }

  /** Bytes of so many pieces that are not yet written. */
  #length(count: number): number {
    let bytes = -this.#begun;
    for (let i = 0; i < count; i++) bytes += this.#pieces[i]!.length;
    return bytes;
  }

  /** So many bytes were written. @returns how many datagrams are out to their end by that */
  written(bytes: number): number {
    let left = bytes + this.#begun;
    let whole = 0;
    let datagrams = 0;
    while (whole < this.#pieces.length && left >= this.#pieces[whole]!.length) {
      left -= this.#pieces[whole]!.length;
      datagrams += this.#datagrams[whole]!;
      whole++;
    }
    this.#pieces = this.#pieces.slice(whole);
    this.#datagrams = this.#datagrams.slice(whole);
    this.#begins = this.#begins.slice(whole);
    this.#sizes = this.#sizes.slice(whole);
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
    if (count > 0) {
      this.#pieces[0] = this.#pieces[0]!.subarray(bytes);
      this.#sizes[0] = this.#sizes[0]!.subarray(count);
      this.#datagrams[0]! -= count;
      this.datagrams -= count;
    }
    this.bytes += this.#begun - bytes;
    this.#begun = 0;
    return count;
  }

  #whole(): { count: number; bytes: number } {
    const sizes = this.#sizes[0] ?? [];
    let count = 0;
    let bytes = 0;
    while (count < sizes.length && bytes + sizes[count]! <= this.#begun) bytes += sizes[count++]!;
    return { count, bytes };
  }

  clear(): void {
    this.#pieces = [];
    this.#datagrams = [];
    this.#begins = [];
    this.#sizes = [];
    this.#begun = this.bytes = this.datagrams = 0;
  }
}
