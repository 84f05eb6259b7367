import type { Sizes } from 'mproxy-framing';

/** Approximate size of a small Buffer and its list entry in V8, in bytes. */
const PIECE_OVERHEAD = 200;

interface Piece {
  bytes: Buffer;
  datagrams: number;
  /** Whether it starts at a datagram. */
  begins: boolean;
  /** Lengths of its datagrams, if known. */
  sizes: Sizes | undefined;
}

/** Queue of pieces to write, each with the number of datagrams that end in it. */
export class Backlog {
  bytes = 0;
  datagrams = 0;
  #pieces: Piece[] = [];
  /** Bytes of the first piece that are already written. */
  #firstWritten = 0;

  /** Approximate memory in use with overhead, in bytes: small datagrams need far more than their length. */
  get memory(): number {
    const { BYTES_PER_ELEMENT } = Uint16Array;
    return this.bytes + this.#pieces.length * PIECE_OVERHEAD + this.datagrams * BYTES_PER_ELEMENT;
  }

  get empty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Whether the next byte to write is the first of a datagram. */
  get between(): boolean {
    return this.#firstWritten === 0 && this.#pieces[0]?.begins !== false;
  }

  /** Datagrams of the first piece that are already written in full; 0 if their sizes are unknown. */
  get whole(): number {
    return this.#wholeDatagrams().count;
  }

  add(bytes: Buffer, datagrams: number, begins = true, sizes?: Sizes): void {
    this.#pieces.push({ bytes, datagrams, begins, sizes });
    this.bytes += bytes.length;
    this.datagrams += datagrams;
  }

  /** Copies the remaining pieces, whose memory was lent. */
  keep(): void {
    for (const piece of this.#pieces) {
      piece.bytes = Buffer.from(piece.bytes);
      piece.sizes = piece.sizes?.slice();
    }
  }

  /** Whether the first datagram, or the first piece of joined datagrams, fits into `room` bytes. */
  fits(room: number): boolean {
    return this.bytes <= room || this.#unwritten(this.#nextStart(0)) <= room;
  }

  /** The first pieces: at most `count`, and whole datagrams of at most `room` bytes, but at least one. */
  first(count: number, room = Number.POSITIVE_INFINITY): Buffer[] {
    const most = this.bytes <= room ? count : this.#countWithin(count, room);
    const pieces = this.#pieces.slice(0, most).map(({ bytes }) => bytes);
    if (this.#firstWritten > 0) pieces[0] = pieces[0]!.subarray(this.#firstWritten);
    return pieces;
  }

  #countWithin(count: number, room: number): number {
    let fit = this.#nextStart(0);
    let bytes = this.#unwritten(fit);
    while (fit < count && fit < this.#pieces.length) {
      const next = this.#nextStart(fit);
      for (let i = fit; i < next; i++) bytes += this.#pieces[i]!.bytes.length;
      if (bytes > room) break;
      fit = next;
    }
    return Math.min(fit, count);
  }

  /** Index of the next piece that starts at a datagram. */
  #nextStart(after: number): number {
    let at = after + 1;
    while (this.#pieces[at]?.begins === false) at++;
    return Math.min(at, this.#pieces.length);
  }

  /** Unwritten bytes of the first `count` pieces. */
  #unwritten(count: number): number {
    let bytes = -this.#firstWritten;
    for (let i = 0; i < count; i++) bytes += this.#pieces[i]!.bytes.length;
    return bytes;
  }

  /** Removes written bytes. @returns the number of datagrams that this completes */
  written(bytes: number): number {
    let left = bytes + this.#firstWritten;
    let whole = 0;
    let datagrams = 0;
    while (whole < this.#pieces.length && left >= this.#pieces[whole]!.bytes.length) {
      left -= this.#pieces[whole]!.bytes.length;
      datagrams += this.#pieces[whole]!.datagrams;
      whole++;
    }
    this.#pieces = this.#pieces.slice(whole);
    this.#firstWritten = left;
    this.bytes -= bytes;
    this.datagrams -= datagrams;
    return datagrams;
  }

  /**
   * Prepares for a new file: a partly written datagram, or piece if its datagram sizes are unknown, is
   * written again whole.
   * @returns the number of datagrams of the first piece that stay in the old file
   */
  beginAgain(): number {
    const { count, bytes } = this.#wholeDatagrams();
    const first = this.#pieces[0];
    if (first && count > 0) {
      first.bytes = first.bytes.subarray(bytes);
      first.sizes = first.sizes?.subarray(count);
      first.datagrams -= count;
      this.datagrams -= count;
    }
    this.bytes += this.#firstWritten - bytes;
    this.#firstWritten = 0;
    return count;
  }

  #wholeDatagrams(): { count: number; bytes: number } {
    const sizes = this.#pieces[0]?.sizes ?? [];
    let count = 0;
    let bytes = 0;
    while (count < sizes.length && bytes + sizes[count]! <= this.#firstWritten) bytes += sizes[count++]!;
    return { count, bytes };
  }

  clear(): void {
    this.#pieces = [];
    this.#firstWritten = this.bytes = this.datagrams = 0;
  }
}
