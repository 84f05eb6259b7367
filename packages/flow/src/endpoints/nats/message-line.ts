import { checkLine, ProtocolError, quoted } from './protocol-error.js';

/** Limit on headers and payload of a message, in bytes: no server accepts more (nats-server, MAX_PAYLOAD_MAX_SIZE). */
const MAX_MESSAGE = 64 * 1024 * 1024;
/** The most fields that an operation has: HMSG with a reply subject. */
const MAX_FIELDS = 6;

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const ZERO = 0x30;
const MSG = Buffer.from('msg');
const H_MSG = Buffer.from('hmsg');

/** Whether bytes begin as the line of a message does. */
export function isMessage(bytes: Buffer, at: number): boolean {
  const first = bytes[at]! | SPACE;
  return first === MSG[0] || first === H_MSG[0];
}

/**
 * `MSG subject sid [reply] size`, `HMSG subject sid [reply] header-size total-size`: what the last line that was read says.
 * Positions count from its beginning.
 */
export class MessageLine {
  sid = 0;
  /** Bytes of headers and payload, and those of the headers. */
  size = 0;
  headers = 0;
  subjectStart = 0;
  subjectEnd = 0;
  /** 0, 0: no reply subject. */
  replyStart = 0;
  replyEnd = 0;
  #fields = 0;
  readonly #starts = new Uint32Array(MAX_FIELDS);
  readonly #ends = new Uint32Array(MAX_FIELDS);

  /** Reads the line that begins here. @returns where it ends; -1: not in these bytes @throws ProtocolError */
  read(bytes: Buffer, at: number): number {
    const newline = this.#split(bytes, at);
    if (newline < 0) return -1;
    checkLine(bytes, at, newline);
    this.#parse(bytes, at);
    return newline + 1;
  }

  /** Finds the fields of a line. @returns where its newline is; -1: not here */
  #split(bytes: Buffer, at: number): number {
    const starts = this.#starts;
    const ends = this.#ends;
    let fields = 0;
    let inside = false;
    for (let i = at; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (byte !== SPACE && byte !== RETURN && byte !== NEWLINE && byte !== TAB) {
        // A typed array ignores the fields beyond its end; their number is checked later.
        if (!inside) starts[fields] = i;
        inside = true;
        continue;
      }
      if (inside) ends[fields++] = i;
      inside = false;
      if (byte !== NEWLINE) continue;
      this.#fields = fields;
      return i;
    }
    return -1;
  }

  #parse(bytes: Buffer, at: number): void {
    const starts = this.#starts;
    const ends = this.#ends;
    const fields = this.#fields;
    const hasHeaders = (bytes[at]! | SPACE) === H_MSG[0];
    if (!isName(bytes, at, ends[0]!, hasHeaders ? H_MSG : MSG))
      throw new ProtocolError(`unknown operation ${quoted(bytes.toString('latin1', at, ends[0]))}`);
    const least = hasHeaders ? 5 : 4;
    if (fields !== least && fields !== least + 1)
      throw new ProtocolError(`a message with ${fields - 1} arguments`);
    this.size = this.#number(bytes, fields - 1);
    this.headers = hasHeaders ? this.#number(bytes, fields - 2) : 0;
    if (this.headers > this.size)
      throw new ProtocolError(`headers of ${this.headers} bytes in a message of ${this.size}`);
    this.sid = this.#number(bytes, 2);
    this.subjectStart = starts[1]! - at;
    this.subjectEnd = ends[1]! - at;
    const hasReply = fields > least;
    this.replyStart = hasReply ? starts[3]! - at : 0;
    this.replyEnd = hasReply ? ends[3]! - at : 0;
  }

  #number(bytes: Buffer, field: number): number {
    const start = this.#starts[field]!;
    const end = this.#ends[field]!;
    const number = numberIn(bytes, start, end);
    if (number <= MAX_MESSAGE) return number;
    throw new ProtocolError(
      `${quoted(bytes.toString('latin1', start, end))} is not a number up to ${MAX_MESSAGE}`,
    );
  }
}

/** Operations are case-insensitive. @param name in lower case */
function isName(bytes: Buffer, start: number, end: number, name: Buffer): boolean {
  for (let i = 0; i < name.length; i++) if ((bytes[start + i]! | SPACE) !== name[i]) return false;
  return end - start === name.length;
}

/** @returns NaN: other characters than digits */
export function numberIn(bytes: Buffer, start: number, end: number): number {
  let number = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - ZERO;
    number = digit >= 0 && digit <= 9 ? number * 10 + digit : Number.NaN;
  }
  return number;
}
