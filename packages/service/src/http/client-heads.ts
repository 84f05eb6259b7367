import type { Rejection, ResponseHead } from 'mproxy-http';
import { ResponseParser } from 'mproxy-http/response-parser';
import type { UpstreamTimeouts } from './client-options.js';
import type { ResponseFraming } from './client-response-body.js';

/** The heads of responses in the bytes that a connection receives. */
export class ResponseHeads {
  /** What was received, from a head that was not whole before on. */
  bytes: Buffer = NOTHING;
  #at = 0;
  /** A copy of a head that is not whole yet. */
  #partial: Buffer | undefined;
  readonly #parser = new ResponseParser();

  /** Whether a head has begun. */
  get isPartial(): boolean {
    return this.#partial !== undefined;
  }

  /** @param received borrowed */
  add(received: Buffer): void {
    this.bytes = this.#partial ? Buffer.concat([this.#partial, received]) : received;
    this.#partial = undefined;
    this.#at = 0;
  }

  /** The next head, which borrows {@link bytes}; undefined: it is not whole. @param method of the request */
  next(method: string): ResponseHead | Rejection | undefined {
    const head = this.#parser.parse(this.bytes, this.#at, this.bytes.length, method);
    if (head === undefined) {
      if (this.#at < this.bytes.length) this.#partial = Buffer.from(this.bytes.subarray(this.#at));
    } else if ('headEnd' in head) this.#at = head.headEnd;
    return head;
  }
}

const NOTHING = Buffer.alloc(0);

/** How the end of its body is found. */
export function framingOf({ chunked, closeDelimited, contentLength }: ResponseHead): ResponseFraming {
  if (chunked) return 'chunked';
  return closeDelimited ? 'close' : (contentLength ?? 0);
}

/** How long its body may be silent, in milliseconds. */
export function bodyLimit({ contentLength, fields }: ResponseHead, timeouts: UpstreamTimeouts): number {
  const isEvents =
    contentLength === undefined && fields.get('content-type')?.toLowerCase().startsWith('text/event-stream');
  return isEvents ? timeouts.eventStream : timeouts.responseBody;
}
