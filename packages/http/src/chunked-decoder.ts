import { CR, LF } from './bytes.js';
import { ChunkExtension } from './chunk-extension.js';
import type { Fields } from './fields.js';
import { Rejection } from './rejection.js';
import { Trailers } from './trailers.js';

/** Takes what a decoder passes on: borrowed bytes, valid during the call. */
export interface DataSink {
  onData(bytes: Uint8Array): void;
}

export interface ChunkLimits {
  /** Bytes of chunk extensions and trailers in a message. Default: 16 KiB. */
  readonly extra: number;
}

const SIZE = 0;
const FIRST_DIGIT = 1;
const EXTENSION = 2;
const SIZE_LF = 3;
const DATA = 4;
const DATA_CR = 5;
const DATA_LF = 6;
const TRAILERS = 7;
const END = 8;

/** Digits of a size, zeros in front included: enough for 2^53. */
const DIGITS = 16;

const reject = (reason: string) => new Rejection(400, reason);
const BAD_SIZE = reject('invalid chunk size');
const LARGE = reject('chunk size too large');
const BAD_EXTENSION = reject('invalid chunk extension');
const LONG = reject('chunk extensions too long');
const LINE = reject('chunk line without CRLF');
const DATA_END = reject('chunk data without CRLF');

/** Decodes one body in the chunked coding (RFC 9112, section 7.1). Extensions are dropped. */
export class ChunkedDecoder {
  /** The fields behind the last chunk; undefined: none. They are not borrowed. */
  trailers: Fields | undefined;
  /** Why nothing is decoded any more. The status is the one for a request. */
  rejection: Rejection | undefined;
  #state = FIRST_DIGIT;
  /** Of the size while it is read; then what is left of the chunk. */
  #size = 0;
  #digits = 0;
  /** Bytes that extensions and trailers may still have. */
  #extra: number;
  #paused = false;
  readonly #extension = new ChunkExtension();
  #reader: Trailers | undefined;

  constructor(limits: ChunkLimits = { extra: 16_384 }) {
    this.#extra = limits.extra;
  }

  /** The body is complete. */
  get done(): boolean {
    return this.#state === END;
  }

  /** Within `onData`: {@link feed} returns with what it has decoded so far. */
  pause(): void {
    this.#paused = true;
  }

  /**
   * Decodes bytes. @returns the offset behind the last one that was used: `end`, or less where the body ends, is invalid
   * ({@link rejection}) or was paused
   */
  feed(bytes: Uint8Array, start: number, end: number, sink: DataSink): number {
    this.#paused = false;
    let at = start;
    while (at < end && !this.#paused && this.#state !== END && !this.rejection) {
      if (this.#state === DATA) at = this.#data(bytes, at, end, sink);
      else if (this.#state === TRAILERS) at = this.#readTrailers(bytes, at, end);
      else this.#take(bytes[at++]!);
    }
    return at;
  }

  #data(bytes: Uint8Array, at: number, end: number, sink: DataSink): number {
    const to = Math.min(end, at + this.#size);
    this.#size -= to - at;
    if (this.#size === 0) this.#state = DATA_CR;
    sink.onData(bytes.subarray(at, to));
    return to;
  }

  /** A byte of what is around the data. */
  #take(byte: number): void {
    switch (this.#state) {
      case FIRST_DIGIT:
      case SIZE:
        this.#digit(byte);
        return;
      case EXTENSION:
        if (byte === CR && this.#extension.isWhole) this.#state = SIZE_LF;
        else if (byte === LF) this.rejection = LINE;
        else if (!this.#extension.take(byte)) this.rejection = BAD_EXTENSION;
        else if (this.#extra-- <= 0) this.rejection = LONG;
        return;
      case SIZE_LF:
        if (byte !== LF) this.rejection = LINE;
        else this.#state = this.#size > 0 ? DATA : TRAILERS;
        return;
      case DATA_CR:
        if (byte === CR) this.#state = DATA_LF;
        else this.rejection = DATA_END;
        return;
      case DATA_LF:
        if (byte !== LF) this.rejection = DATA_END;
        else {
          this.#state = FIRST_DIGIT;
          this.#digits = 0;
        }
        return;
    }
  }

  #digit(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#size = this.#digits++ === 0 ? digit : this.#size * 16 + digit;
      if (this.#digits > DIGITS || this.#size > Number.MAX_SAFE_INTEGER) this.rejection = LARGE;
      this.#state = SIZE;
    } else if (this.#state === FIRST_DIGIT) this.rejection = BAD_SIZE;
    else if (byte === CR) this.#state = SIZE_LF;
    else if (byte === 0x3b) {
      this.#state = EXTENSION;
      this.#extension.take(byte);
      if (this.#extra-- <= 0) this.rejection = LONG;
    } else this.rejection = byte === LF ? LINE : BAD_SIZE;
  }

  #readTrailers(bytes: Uint8Array, at: number, end: number): number {
    this.#reader ??= new Trailers(this.#extra);
    const next = this.#reader.read(bytes, at, end);
    this.rejection = this.#reader.rejection;
    if (this.#reader.done) {
      this.trailers = this.#reader.fields;
      this.#state = END;
    }
    return next;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
