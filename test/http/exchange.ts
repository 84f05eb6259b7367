// What a server or a client makes of bytes that come in pieces: one line for each event, to compare.
import {
  ChunkedDecoder,
  Rejection,
  type RequestHead,
  RequestParser,
  type ResponseHead,
  ResponseParser,
} from 'mproxy-http';
import type { HeadScanner } from 'mproxy-http/scan-results';
import { JsScanner } from 'mproxy-http/scanner-js';
import { WasmScanner } from 'mproxy-http/scanner-wasm';

/** Both scanners, by name. */
export const SCANNERS: [string, HeadScanner][] = [
  ['js', new JsScanner()],
  ['wasm', new WasmScanner()],
];

/** The last event where a head has begun. */
export const PARTIAL = 'waits for the rest of a head';

export interface Side {
  readonly kind: 'request' | 'response';
  readonly scanner: HeadScanner;
  /** Of responses: the method of each request, the last one again and again. */
  readonly methods?: readonly string[];
}

/** Reads messages one after the other, as far as their framing allows, out of pieces that it puts together as a server does. */
export class Exchange {
  readonly events: string[] = [];
  readonly #requests: RequestParser;
  readonly #responses: ResponseParser;
  #bytes = Buffer.alloc(0);
  #decoder: ChunkedDecoder | undefined;
  /** Bytes of the body that are to come. */
  #left = 0;
  #body = '';
  #inBody = false;
  #waits = false;
  #ended = false;
  #messages = 0;
  #after: string | undefined;

  constructor(private readonly side: Side) {
    this.#requests = new RequestParser({ scanner: side.scanner, connect: true });
    this.#responses = new ResponseParser({ scanner: side.scanner });
  }

  /** @param offset where what is left begins in the buffer from now on: it moves between calls */
  feed(piece: Uint8Array, offset = 0): void {
    this.#bytes = Buffer.concat([Buffer.alloc(offset, '\n'), this.#bytes, piece]);
    let at = offset;
    this.#waits = false;
    while (!this.#ended && !this.#waits) at = this.#inBody ? this.#readBody(at) : this.#readHead(at);
    this.#bytes = this.#bytes.subarray(at);
  }

  /** The events, and what it was about to read. */
  finish(): string[] {
    if (!this.#ended)
      this.events.push(
        this.#inBody ? `body so far: ${this.#body}` : this.#bytes.length > 0 ? PARTIAL : 'waits for a head',
      );
    return this.events;
  }

  #readHead(at: number): number {
    const { kind, methods = ['GET'] } = this.side;
    const method = methods[Math.min(this.#messages, methods.length - 1)]!;
    const end = this.#bytes.length;
    const head =
      kind === 'request'
        ? this.#requests.parse(this.#bytes, at, end)
        : this.#responses.parse(this.#bytes, at, end, method);
    if (!head || head instanceof Rejection) {
      if (head) this.#end(rejected(head));
      this.#waits = true;
      return at;
    }
    this.events.push(describe(head));
    if (!('status' in head) || head.status >= 200) this.#messages++;
    this.#body = '';
    this.#inBody = true;
    this.#decoder = head.chunked ? new ChunkedDecoder() : undefined;
    this.#left =
      'closeDelimited' in head && head.closeDelimited ? Number.POSITIVE_INFINITY : (head.contentLength ?? 0);
    this.#after = head.upgrade !== undefined ? 'upgrades' : head.keepAlive ? undefined : 'closes';
    return head.headEnd;
  }

  #readBody(at: number): number {
    const end = this.#bytes.length;
    let next = Math.min(end, at + this.#left);
    const sink = { onData: (bytes: Uint8Array) => (this.#body += Buffer.from(bytes).toString('latin1')) };
    if (!this.#decoder) {
      sink.onData(this.#bytes.subarray(at, next));
      this.#left -= next - at;
      if (this.#left === 0) this.#endBody('');
    } else {
      next = this.#decoder.feed(this.#bytes, at, end, sink);
      const { rejection, done, trailers } = this.#decoder;
      if (rejection) this.#end(`body so far: ${this.#body}`, rejected(rejection));
      if (done) this.#endBody(JSON.stringify([...(trailers ?? [])]));
    }
    this.#waits = this.#inBody;
    return next;
  }

  #endBody(trailers: string): void {
    this.events.push(`body: ${this.#body}${trailers === '[]' ? '' : trailers}`);
    this.#inBody = false;
    if (this.#after) this.#end(this.#after);
  }

  #end(...events: string[]): void {
    this.events.push(...events);
    this.#ended = true;
  }
}

function rejected({ status, reason }: Rejection): string {
  return `rejected: ${status} ${reason}`;
}

function describe(head: RequestHead | ResponseHead): string {
  const { fields, headEnd: _, ...rest } = head;
  return JSON.stringify({ ...rest, fields: [...fields] });
}

/** The events of bytes that come whole. */
export function whole(side: Side, bytes: Uint8Array): string[] {
  const exchange = new Exchange(side);
  exchange.feed(bytes);
  return exchange.finish();
}

/** The first way of cutting bytes that changes the events; undefined: there is none. In two pieces at every place, and in single bytes. */
export function changedByCuts(side: Side, bytes: Uint8Array, expected: string[]): string | undefined {
  const is = (exchange: Exchange) => JSON.stringify(exchange.finish()) === JSON.stringify(expected);
  const single = new Exchange(side);
  for (let at = 0; at < bytes.length; at++) single.feed(bytes.subarray(at, at + 1), at % 3);
  if (!is(single)) return `single bytes: ${JSON.stringify(single.events)}`;
  for (let at = 1; at < bytes.length; at++) {
    const two = new Exchange(side);
    two.feed(bytes.subarray(0, at));
    two.feed(bytes.subarray(at), at % 5);
    if (!is(two)) return `cut at ${at}: ${JSON.stringify(two.events)}`;
  }
  return undefined;
}
