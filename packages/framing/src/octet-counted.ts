import { Cutter, MAX_DATAGRAM } from './cutter.js';

const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;
/** Digits of the longest count: 9,999,999,999. */
const MAX_DIGITS = 10;

/** A byte stream that violates its framing. It cannot be read any further. */
export class FramingError extends Error {
  readonly code = 'MPROXY_FRAMING';
}

/** The prefix of a message of this length in the stream: `LEN SP` (RFC 6587, section 3.4.1). */
export function octetCount(length: number): string {
  return `${length} `;
}

/**
 * `octet-counted`: one message per datagram, without its count. A message that is too large for a datagram,
 * or incomplete at the end of the stream, is discarded and counted.
 */
export class OctetCutter extends Cutter {
  protected readonly endsLines = false;
  /** Bytes of the next message; undefined if a count is next. */
  #messageLength: number | undefined;
  /** Bytes still to come of a message being discarded. */
  #discarding = 0;
  /** Bytes of the stream before the pending ones. */
  #position = 0;

  /** @throws FramingError at an invalid count; then no bytes are pending any more */
  protected cutFull(): void {
    while (this.pending > 0) if (!this.#discard() && !this.#nextMessage()) return;
  }

  protected cutIdle(): void {}

  override finish(): void {
    if (this.pending > 0 || this.#messageLength !== undefined || this.#discarding > 0) this.#discardRest();
  }

  override breakOff(): boolean {
    this.finish();
    return false;
  }

  /** The stream ended inside a message. A message that is too large was counted already. */
  #discardRest(): void {
    if (this.#discarding === 0) this.discarded++;
    this.#messageLength = undefined;
    this.#discarding = 0;
    this.#consume(this.pending);
  }

  /** @returns whether there was something to discard */
  #discard(): boolean {
    if (this.#discarding === 0) return false;
    const length = Math.min(this.#discarding, this.pending);
    this.#discarding -= length;
    this.#consume(length);
    return true;
  }

  /** Emits or starts to discard the next message. @returns false while it is incomplete */
  #nextMessage(): boolean {
    this.#messageLength ??= this.#readCount();
    if (this.#messageLength === undefined) return false;
    if (this.#messageLength > MAX_DATAGRAM) {
      this.discarded++;
      this.#discarding = this.#messageLength;
    } else {
      if (this.pending < this.#messageLength) return false;
      this.#position += this.#messageLength;
      this.emitNext(this.#messageLength);
    }
    this.#messageLength = undefined;
    return true;
  }

  /** Reads a count and its space. @returns undefined while it is incomplete */
  #readCount(): number | undefined {
    let count = 0;
    const { slab, start } = this;
    const most = Math.min(this.pending, MAX_DIGITS + 1);
    for (let i = 0; i < most; i++) {
      const byte = slab[start + i]!;
      if (byte === SPACE && i > 0) {
        this.#consume(i + 1);
        return count;
      }
      const digit = byte >= ZERO && byte <= NINE && (i > 0 || byte > ZERO) && i < MAX_DIGITS;
      if (!digit) throw this.#invalidCount(i, byte);
      count = count * 10 + (byte - ZERO);
    }
    return undefined;
  }

  #invalidCount(at: number, byte: number): FramingError {
    const place = this.#position + at;
    this.#consume(this.pending);
    const found = `0x${byte.toString(16).padStart(2, '0')}`;
    return new FramingError(
      `not octet-counted: ${found} at byte ${place} of the stream, where a count belongs (RFC 6587, 3.4.1)`,
    );
  }

  #consume(length: number): void {
    this.skip(length);
    this.#position += length;
  }
}
