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

  /** Bytes of memory that it takes, about: a datagram of one byte takes more than that. */
  get memory(): number {
    return this.bytes + this.#pieces.length * PIECE_MEMORY;
  }

  get empty(): boolean {
    return this.#pieces.length === 0;
  }

  add(piece: Buffer, datagrams: number): void {
    this.#pieces.push(piece);
    this.#datagrams.push(datagrams);
    this.bytes += piece.length;
    this.datagrams += datagrams;
  }

  /** Copies what is left, as its bytes were lent. */
  keep(): void {
    this.#pieces = this.#pieces.map((piece) => Buffer.from(piece));
  }

  /** The first pieces, at most so many. */
  first(count: number): Buffer[] {
    const pieces = this.#pieces.slice(0, count);
    if (this.#begun > 0) pieces[0] = pieces[0]!.subarray(this.#begun);
    return pieces;
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
    this.#begun = this.bytes = this.datagrams = 0;
  }
}
