import { Cutter, MAX_DATAGRAM } from './cutter.js';

const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;
/** Digits of the longest count: 9,999,999,999. */
const MOST_DIGITS = 10;

/** A byte stream that is not what its frame says. It cannot be read on. */
export class FramingError extends Error {
  readonly code = 'MPROXY_FRAMING';
}

/** What stands before a message of so many bytes in the stream: `LEN SP` (RFC 6587, section 3.4.1). */
export function octetCount(length: number): string {
  return `${length} `;
}

/**
 * `octet-counted`: one message per datagram, without its count. A message that no datagram can carry, or that the
 * stream ends inside of, is discarded and counted.
 */
export class OctetCutter extends Cutter {
  protected readonly endsLines = false;
  /** Bytes of the message that are to come; undefined where a count is next. */
  #message: number | undefined;
  /** Bytes of a message being discarded that are to come. */
  #discarding = 0;
  /** Bytes of the stream before what waits. */
  #position = 0;

  /** @throws FramingError at a count that is none; then nothing waits any more */
  protected cutFull(): void {
    while (this.pending > 0) if (!this.#discard() && !this.#next()) return;
  }

  protected cutIdle(): void {}

  override finish(): void {
    if (this.pending > 0 || this.#message !== undefined || this.#discarding > 0) this.#drop();
  }

  override breakOff(): boolean {
    this.finish();
    return false;
  }

  /** The stream ended inside a message. One that was too long is counted already. */
  #drop(): void {
    if (this.#discarding === 0) this.discarded++;
    this.#message = undefined;
    this.#discarding = 0;
    this.#take(this.pending);
  }

  /** @returns whether there was something to discard */
  #discard(): boolean {
    if (this.#discarding === 0) return false;
    const length = Math.min(this.#discarding, this.pending);
    this.#discarding -= length;
    this.#take(length);
    return true;
  }

  /** Emits the next message. @returns false while it is not complete */
  #next(): boolean {
    this.#message ??= this.#count();
    if (this.#message === undefined) return false;
    if (this.#message > MAX_DATAGRAM) {
      this.discarded++;
      this.#discarding = this.#message;
    } else {
      if (this.pending < this.#message) return false;
      this.#position += this.#message;
      this.emitNext(this.#message);
    }
    this.#message = undefined;
    return true;
  }

  /** Reads a count and its space. @returns undefined while it is not complete */
  #count(): number | undefined {
    let count = 0;
    const { slab, start } = this;
    const most = Math.min(this.pending, MOST_DIGITS + 1);
    for (let i = 0; i < most; i++) {
      const byte = slab[start + i]!;
      if (byte === SPACE && i > 0) {
        this.#take(i + 1);
        return count;
      }
      const digit = byte >= ZERO && byte <= NINE && (i > 0 || byte > ZERO) && i < MOST_DIGITS;
      if (!digit) throw this.#wrong(i, byte);
      count = count * 10 + (byte - ZERO);
    }
    return undefined;
  }

  #wrong(at: number, byte: number): FramingError {
    const place = this.#position + at;
    this.#take(this.pending);
    const found = `0x${byte.toString(16).padStart(2, '0')}`;
    return new FramingError(
      `not octet-counted: ${found} at byte ${place} of the stream, where a count belongs (RFC 6587, 3.4.1)`,
    );
  }

  #take(length: number): void {
    this.skip(length);
    this.#position += length;
  }
}
