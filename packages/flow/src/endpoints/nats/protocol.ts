import { isMessage, MessageLine } from './message-line.js';
import { checkLine, lineTooLong, MAX_LINE, ProtocolError, printable, quoted } from './protocol-error.js';

/** CR LF, behind a line and behind a payload. */
const END_OF_LINE = 2;

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const EMPTY: Buffer = Buffer.alloc(0);

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
  readonly #line = new MessageLine();

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
    if (isMessage(bytes, at)) return this.#readMessage(bytes, at);
    const newline = bytes.indexOf(NEWLINE, at);
    if (newline < 0) return -1;
    checkLine(bytes, at, newline);
    this.#readLine(bytes.toString('utf8', at, newline - 1));
    return newline + 1;
  }

  /** A line with headers and payload behind it. */
  #readMessage(bytes: Buffer, at: number): number {
    const line = this.#line;
    const start = line.read(bytes, at);
    if (start < 0) return -1;
    const { size, headers } = line;
    const end = start + size + END_OF_LINE;
    if (bytes.length < end) {
      this.#expected = end - at;
      return -1;
    }
    if (bytes[end - 2] !== RETURN || bytes[end - 1] !== NEWLINE)
      throw new ProtocolError('a message that is longer than its size says');
    const message = this.#message;
    message.bytes = bytes;
    message.sid = line.sid;
    message.offset = start + headers;
    message.length = size - headers;
    message.headerLength = headers;
    message.subjectStart = at + line.subjectStart;
    message.subjectEnd = at + line.subjectEnd;
    const hasReply = line.replyEnd > 0;
    message.replyStart = hasReply ? at + line.replyStart : 0;
    message.replyEnd = hasReply ? at + line.replyEnd : 0;
    this.handler.onMessage(message);
    return end;
  }

  #readLine(line: string): void {
    const { handler } = this;
    const [, name = '', rest = ''] = /^(\S*)[ \t]*(.*)$/s.exec(line)!;
    const operation = name.toUpperCase();
    if (operation === 'INFO') handler.onInfo(rest);
    else if (operation === 'PING') handler.onPing();
    else if (operation === 'PONG') handler.onPong();
    else if (operation === '-ERR') handler.onError(printable(rest.trim().replace(/^'(.*)'$/, '$1')));
    else if (operation !== '+OK') throw new ProtocolError(`unknown operation ${quoted(name)}`);
  }
}
