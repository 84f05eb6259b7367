import type { Run } from './run.js';

const ZERO = 0x30;
const END_OF_LINE = Buffer.from('\r\n');
/** Limit on the digits of a size. */
const MAX_DIGITS = 10;

/** Encodes messages to one subject: `PUB subject size`, the payload. Without garbage, as this is the hot path of a sink. */
export class PublishEncoder {
  /** The line of the last message: the next is likely to be as long. */
  readonly #line: Buffer;
  readonly #nameLength: number;
  #lineLength = 0;
  #size = -1;

  constructor(subject: string) {
    const name = Buffer.from(`PUB ${subject} `);
    this.#nameLength = name.length;
    this.#line = Buffer.alloc(name.length + MAX_DIGITS + END_OF_LINE.length);
    name.copy(this.#line);
  }

  /** Bytes of the messages of a run. */
  space({ bytes, sizes, count }: Run): number {
    let space = bytes + count * (this.#nameLength + 2 * END_OF_LINE.length);
    for (let i = 0; i < count; i++) space += digitsOf(sizes[i]!);
    return space;
  }

  /**
   * Encodes a run: copies all payloads behind the place of their lines, then moves each to its own, since copyWithin, unlike
   * copy, makes no view of the memory for each (Node: lib/buffer.js, _copyActual).
   * @param space of the run, see {@link space}
   * @returns where the encoded messages end
   */
  encode(into: Buffer, at: number, run: Run, space: number): number {
    const { slab, offset, bytes, sizes, count } = run;
    let from = at + space - bytes;
    slab.copy(into, from, offset, offset + bytes);
    for (let i = 0; i < count; i++) {
      const size = sizes[i]!;
      if (size !== this.#size) this.#setSize(size);
      for (let j = 0; j < this.#lineLength; j++) into[at++] = this.#line[j]!;
      into.copyWithin(at, from, from + size);
      from += size;
      at += size;
      into[at++] = END_OF_LINE[0]!;
      into[at++] = END_OF_LINE[1]!;
    }
    return at;
  }

  /** An encoded message that begins here: the size of its payload, and where it ends. */
  messageAt(bytes: Buffer, at: number): { size: number; end: number } {
    let size = 0;
    let i = at + this.#nameLength;
    for (; bytes[i] !== END_OF_LINE[0]; i++) size = size * 10 + bytes[i]! - ZERO;
    return { size, end: i + size + 2 * END_OF_LINE.length };
  }

  #setSize(size: number): void {
    this.#size = size;
    const digits = digitsOf(size);
    let rest = size;
    for (let i = this.#nameLength + digits - 1; i >= this.#nameLength; i--) {
      this.#line[i] = ZERO + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    this.#lineLength = this.#nameLength + digits;
    this.#lineLength += END_OF_LINE.copy(this.#line, this.#lineLength);
  }
}

function digitsOf(size: number): number {
  let digits = 1;
  for (let rest = size; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  return digits;
}

/** What a single message has besides its subject and payload. */
export interface PublishOptions {
  reply?: string;
  /** By names, as HTTP has them (NATS ADR-4). */
  headers?: Readonly<Record<string, string>>;
}

/** Encodes one message: PUB, or HPUB where it has headers. */
export function encodePublish(
  subject: string,
  payload: Buffer,
  { reply, headers }: PublishOptions = {},
): Buffer {
  const to = reply === undefined ? subject : `${subject} ${reply}`;
  if (!headers) return Buffer.concat([Buffer.from(`PUB ${to} ${payload.length}\r\n`), payload, END_OF_LINE]);
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = Buffer.from(`NATS/1.0\r\n${fields.join('')}\r\n`);
  const line = Buffer.from(`HPUB ${to} ${head.length} ${head.length + payload.length}\r\n`);
  return Buffer.concat([line, head, payload, END_OF_LINE]);
}

/** The status of a message that the server itself sent, from its headers: `NATS/1.0 503 No Responders`; undefined: none. */
export function statusOf(headers: string): { code: number; text: string } | undefined {
  const [, code, text = ''] = /^NATS\/1\.0[ \t]+(\d{3})(?:[ \t]+([^\r\n]*))?\r\n/.exec(headers) ?? [];
  return code === undefined ? undefined : { code: Number(code), text: text.trim() };
}
