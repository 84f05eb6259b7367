/** Limit on a control line, in bytes. INFO lists the servers of a cluster; others are short (nats-server, max_control_line). */
const MAX_LINE = 64 * 1024;
/** Limit on headers and payload of a message, in bytes: no server accepts more (nats-server, MAX_PAYLOAD_MAX_SIZE). */
export const MAX_MESSAGE = 64 * 1024 * 1024;
/** Of the fields of a control line, the most that an operation has: HMSG with a reply subject. */
const MAX_FIELDS = 6;
const END_OF_LINE = 2;

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const ZERO = 0x30;
const MSG = Buffer.from('msg');
const H_MSG = Buffer.from('hmsg');
const EMPTY: Buffer = Buffer.alloc(0);

/** The server does not follow the protocol; the connection is of no use any more. */
export class ProtocolError extends Error {}

/** A message: ranges of borrowed bytes. The object is reused for the next message. */
export class Message {
  bytes = EMPTY;
  /** The number of its subscription. */
  sid = 0;
  /** Its payload. */
  offset = 0;
  length = 0;
  /** Its headers, before the payload; 0: none. */
  headerLength = 0;
  subjectStart = 0;
  subjectEnd = 0;
  replyStart = 0;
  replyEnd = 0;

  get subject(): string {
    return this.bytes.toString('utf8', this.subjectStart, this.subjectEnd);
  }

  /** The subject to reply to; empty: none. */
  get reply(): string {
    return this.bytes.toString('utf8', this.replyStart, this.replyEnd);
  }

  /** Borrowed, as the message is. */
  get payload(): Buffer {
    return this.bytes.subarray(this.offset, this.offset + this.length);
  }

  get headers(): string {
    return this.bytes.toString('utf8', this.offset - this.headerLength, this.offset);
  }
}

/** Takes what a server sends. */
export interface ProtocolHandler {
  onInfo(json: string): void;
  /** The message is lent for the call; its payload until the end of the burst, and may be moved back over bytes before it. */
  onMessage(message: Message): void;
  /** The bytes of the messages until now are used for others from now on. Called after each burst. */
  onBurstEnd(): void;
  onPing(): void;
  onPong(): void;
  /** `-ERR`. The text is printable. */
  onError(text: string): void;
}

/**
 * Parses what a server sends (docs.nats.io, reference: client protocol). A message that lies whole in a chunk is passed on in
 * place; what two chunks share is copied. It holds at most one operation.
 */
export class Parser {
  /** The beginning of an operation whose rest has not arrived. */
  #held = EMPTY;
  #heldLength = 0;
  /** The length of the operation that has begun to arrive; 0: its line is not complete. */
  #expected = 0;
  readonly #message = new Message();
  #fields = 0;
  readonly #starts = new Uint32Array(MAX_FIELDS);
  readonly #ends = new Uint32Array(MAX_FIELDS);

  constructor(private readonly handler: ProtocolHandler) {}

  /** Takes the next bytes, which it borrows. @throws ProtocolError; what came before the error is a burst */
  push(chunk: Buffer): void {
    let at = this.#complete(chunk);
    let end = at;
    try {
      while (end >= 0 && end < chunk.length) {
        at = end;
        end = this.#operation(chunk, at);
      }
    } finally {
      this.handler.onBurstEnd();
    }
    if (end < 0) this.#hold(chunk, at, chunk.length);
  }

  /** Completes and handles the held operation. @returns where the next begins in the chunk */
  #complete(chunk: Buffer): number {
    let at = 0;
    while (this.#heldLength > 0 && at < chunk.length) {
      const start = at;
      const end = this.#endOfHeld(chunk, start);
      at = Math.min(end, chunk.length);
      this.#hold(chunk, start, at);
      if (at < end || this.#operation(this.#held.subarray(0, this.#heldLength), 0) < 0) continue;
      this.handler.onBurstEnd();
      this.#heldLength = 0;
      if (this.#held.length > MAX_LINE) this.#held = EMPTY;
    }
    return at;
  }

  /** Where the held operation ends in a chunk, or its line if that is not whole; beyond the chunk: not in it. */
  #endOfHeld(chunk: Buffer, start: number): number {
    if (this.#expected > 0) return start + this.#expected - this.#heldLength;
    const newline = chunk.indexOf(NEWLINE, start);
    return newline < 0 ? Number.POSITIVE_INFINITY : newline + 1;
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const length = this.#heldLength + end - start;
    if (this.#expected === 0 && length > MAX_LINE) throw lineTooLong();
    if (length > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#held.length, length, 4096));
      this.#held.copy(larger, 0, 0, this.#heldLength);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#heldLength, start, end);
    this.#heldLength = length;
  }

  /** Handles the operation that begins here. @returns where it ends; -1 until all of it has arrived */
  #operation(bytes: Buffer, at: number): number {
    this.#expected = 0;
    const first = bytes[at]! | SPACE;
    const isMessage = first === MSG[0] || first === H_MSG[0];
    const newline = isMessage ? this.#split(bytes, at) : bytes.indexOf(NEWLINE, at);
    if (newline < 0) return -1;
    if (newline - at >= MAX_LINE) throw lineTooLong();
    if (bytes[newline - 1] !== RETURN) throw new ProtocolError('a line that does not end with CR LF');
    if (isMessage) return this.#readMessage(bytes, at, newline + 1);
    this.#readLine(bytes.toString('utf8', at, newline - 1));
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

  /** `MSG subject sid [reply] size`, `HMSG subject sid [reply] header-size total-size`; headers and payload follow. */
  #readMessage(bytes: Buffer, at: number, start: number): number {
    const fields = this.#fields;
    const hasHeaders = (bytes[at]! | SPACE) === H_MSG[0];
    if (!isName(bytes, at, this.#ends[0]!, hasHeaders ? H_MSG : MSG))
      throw new ProtocolError(`unknown operation ${shown(bytes.toString('latin1', at, this.#ends[0]))}`);
    const least = hasHeaders ? 5 : 4;
    if (fields !== least && fields !== least + 1)
      throw new ProtocolError(`a message with ${fields - 1} arguments`);
    const size = this.#number(bytes, fields - 1);
    const headers = hasHeaders ? this.#number(bytes, fields - 2) : 0;
    if (headers > size) throw new ProtocolError(`headers of ${headers} bytes in a message of ${size}`);
    const end = start + size + END_OF_LINE;
    if (bytes.length < end) {
      this.#expected = end - at;
      return -1;
    }
    if (bytes[end - 2] !== RETURN || bytes[end - 1] !== NEWLINE)
      throw new ProtocolError('a message that is longer than its size says');
    const message = this.#message;
    message.bytes = bytes;
    message.sid = this.#number(bytes, 2);
    message.offset = start + headers;
    message.length = size - headers;
    message.headerLength = headers;
    message.subjectStart = this.#starts[1]!;
    message.subjectEnd = this.#ends[1]!;
    const hasReply = fields > least;
    message.replyStart = hasReply ? this.#starts[3]! : 0;
    message.replyEnd = hasReply ? this.#ends[3]! : 0;
    this.handler.onMessage(message);
    return end;
  }

  #number(bytes: Buffer, field: number): number {
    const start = this.#starts[field]!;
    const end = this.#ends[field]!;
    const number = numberIn(bytes, start, end);
    if (number <= MAX_MESSAGE) return number;
    throw new ProtocolError(
      `${shown(bytes.toString('latin1', start, end))} is not a number up to ${MAX_MESSAGE}`,
    );
  }

  #readLine(line: string): void {
    const { handler } = this;
    const [, name = '', rest = ''] = /^(\S*)[ \t]*(.*)$/s.exec(line)!;
    const operation = name.toUpperCase();
    if (operation === 'INFO') handler.onInfo(rest);
    else if (operation === 'PING') handler.onPing();
    else if (operation === 'PONG') handler.onPong();
    else if (operation === '-ERR') handler.onError(printable(rest.trim().replace(/^'(.*)'$/, '$1')));
    else if (operation !== '+OK') throw new ProtocolError(`unknown operation ${shown(name)}`);
  }
}

/** Operations are case-insensitive. @param name in lower case */
function isName(bytes: Buffer, start: number, end: number, name: Buffer): boolean {
  for (let i = 0; i < name.length; i++) if ((bytes[start + i]! | SPACE) !== name[i]) return false;
  return end - start === name.length;
}

function lineTooLong(): ProtocolError {
  return new ProtocolError(`a line of more than ${MAX_LINE} bytes`);
}

function shown(text: string): string {
  return JSON.stringify(printable(text.slice(0, 20)));
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

/** A server's text for terminals and logs: no control characters, 200 characters at most. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}
