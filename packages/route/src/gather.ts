/** Gathers the pieces of a burst, so that they go out in one write. */
export class Gather {
  bytes = 0;
  datagrams = 0;
  #pieces: Buffer[] = [];

  add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.bytes += piece.length;
  }

  /** All of it in one buffer; afterwards there is nothing here. */
  take(): Buffer {
    const whole = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.bytes);
    this.#pieces = [];
    this.bytes = 0;
    this.datagrams = 0;
    return whole;
  }
}

/** Bytes after which a burst is not gathered further. */
export const GATHER_LIMIT = 64 * 1024;
