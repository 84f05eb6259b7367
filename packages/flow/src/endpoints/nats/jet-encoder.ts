import { randomBytes } from 'node:crypto';

const ZERO = 0x30;
const NINE = 0x39;
const END_OF_LINE = Buffer.from('\r\n');
/** Digits of a message's number: it always has as many, so that lines differ in digits alone. */
const NUMBER_DIGITS = 15;
const NO_NUMBER = '0'.repeat(NUMBER_DIGITS);
/** Digits of the size of a message. */
const SIZE_DIGITS = 8;
const NO_SIZE = '0'.repeat(SIZE_DIGITS);

/**
 * Encodes messages to a stream: `HPUB subject reply headers-size size`, headers, payload. The reply subject and the header
 * Nats-Msg-Id, by which the stream recognises what it has already, name the sender and the number of the message.
 */
export class JetEncoder {
  /** The reply subjects, up to the number. */
  readonly inbox: string;
  /** Line and headers of a message. */
  readonly #head: Buffer;
  readonly #replyAt: number;
  readonly #sizeAt: number;
  readonly #idAt: number;
  /** Bytes of the headers. */
  readonly headers: number;

  constructor(subject: string, stream: string) {
    const sender = randomBytes(9).toString('base64url');
    this.inbox = `_INBOX.${sender}.`;
    const headers = `NATS/1.0\r\nNats-Expected-Stream: ${stream}\r\nNats-Msg-Id: ${sender}-${NO_NUMBER}\r\n\r\n`;
    this.headers = headers.length;
    const line = `HPUB ${subject} ${this.inbox}${NO_NUMBER} ${headers.length} ${NO_SIZE}\r\n`;
    this.#head = Buffer.from(line + headers);
    const lineLength = Buffer.byteLength(line);
    this.#sizeAt = lineLength - END_OF_LINE.length - SIZE_DIGITS;
    this.#replyAt = this.#head.indexOf(this.inbox) + this.inbox.length;
    this.#idAt = this.#head.length - 4 - NUMBER_DIGITS;
  }

  /** Bytes of a message with a payload of this size. */
  space(size: number): number {
    return this.#head.length + size + END_OF_LINE.length;
  }

  /** Encodes the next message; the first has the number 1. @returns where it ends */
  encode(into: Buffer, at: number, slab: Buffer, offset: number, size: number): number {
    const head = this.#head;
    this.#increment();
    let total = this.headers + size;
    for (let i = this.#sizeAt + SIZE_DIGITS - 1; i >= this.#sizeAt; i--) {
      head[i] = ZERO + (total % 10);
      total = Math.floor(total / 10);
    }
    for (let i = 0; i < head.length; i++) into[at++] = head[i]!;
    slab.copy(into, at, offset, offset + size);
    at += size;
    into[at++] = END_OF_LINE[0]!;
    into[at++] = END_OF_LINE[1]!;
    return at;
  }

  #increment(): void {
    const head = this.#head;
    let i = NUMBER_DIGITS - 1;
    for (; head[this.#replyAt + i] === NINE; i--) head[this.#replyAt + i] = head[this.#idAt + i] = ZERO;
    head[this.#replyAt + i]!++;
    head[this.#idAt + i]!++;
  }
}
