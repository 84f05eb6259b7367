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

  /** Bytes of memory that it takes, about: a datagram of one byte takes more than that. */
  get memory(): number {
    return this.bytes + this.#pieces.length * PIECE_MEMORY;
  }

  get empty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Whether the next byte to be written is a datagram's first. */
  get between(): boolean {
    return this.#begun === 0 && this.#begins[0] !== false;
  }

  add(piece: Buffer, datagrams: number, begins = true): void {
    this.#pieces.push(piece);
    this.#datagrams.push(datagrams);
    this.#begins.push(begins);
    this.bytes += piece.length;
    this.datagrams += datagrams;
  }

  /** Copies what is left, as its bytes were lent. */
  keep(): void {
    this.#pieces = this.#pieces.map((piece) => Buffer.from(piece));
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
    this.#begun = left;
    this.bytes -= bytes;
    this.datagrams -= datagrams;
    return datagrams;
  }

  /** What follows goes to another file: a piece that was begun is written there from its start. */
  beginAgain(): void {
    this.bytes += this.#begun;
    this.#begun = 0;
  }

  clear(): void {
    this.#pieces = [];
    this.#datagrams = [];
    this.#begins = [];
    this.#begun = this.bytes = this.datagrams = 0;
  }
}
