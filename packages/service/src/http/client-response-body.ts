import { ChunkedDecoder, type DataSink, type Fields } from 'mproxy-http';
import type { Body, BodySink } from './body.js';

/** The connection that a response body comes from. */
export interface ResponseSource {
  /** The body is not to be read on; it is. */
  onPause(): void;
  onResume(): void;
  /** All of it was read. @param isLast no byte came behind it */
  onComplete(isLast: boolean): void;
  /** Its framing is wrong. */
  onInvalid(): void;
  /** Nobody wants the rest. */
  onCancel(error: Error | undefined): void;
}

/** The last view of bytes. Received bytes are views of one buffer, of which the same come again: most messages of a service are alike. */
const NOTHING: Uint8Array = new Uint8Array(0);
const last = { of: NOTHING, start: 0, end: 0, view: NOTHING };

function viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (start === 0 && end === bytes.length) return bytes;
  if (bytes !== last.of || start !== last.start || end !== last.end) {
    last.of = bytes;
    last.start = start;
    last.end = end;
    last.view = bytes.subarray(start, end);
  }
  return last.view;
}

/** How the end of a body is found: by its length, by the last chunk, or by the end of the connection. */
export type ResponseFraming = number | 'chunked' | 'close';

/**
 * The body of a response. What its connection passes on goes to the reader without a copy, within the call. What comes while the reader
 * takes nothing is copied: the rest of one receive call at most, as the connection is paused then.
 */
export class ResponseBody implements Body, DataSink {
  readonly length: number | undefined;
  #sink: BodySink | undefined;
  #isTaken = false;
  #paused = false;
  /** Received bytes that are not read yet, during the call of the connection. */
  #bytes: Uint8Array | undefined;
  #at = 0;
  /** Bytes that are to come, by its length. */
  #left: number;
  readonly #decoder: ChunkedDecoder | undefined;
  /** Copies of what came while it was paused. */
  #held: Buffer[] | undefined;
  #end: 'open' | 'complete' | Error = 'open';
  #trailers: Fields | undefined;

  constructor(
    private readonly source: ResponseSource,
    framing: ResponseFraming,
  ) {
    this.length = typeof framing === 'number' ? framing : undefined;
    this.#left = this.length ?? Number.POSITIVE_INFINITY;
    this.#decoder = framing === 'chunked' ? new ChunkedDecoder() : undefined;
  }

  /** Whether somebody has started or cancelled it. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  start(sink: BodySink): void {
    this.#isTaken = true;
    this.#sink = sink;
    // Paused: it came before somebody took it.
    if (this.#paused) this.resume();
    else this.#goOn();
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    if (this.#end === 'open') this.source.onPause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#goOn();
    if (!this.#paused && this.#end === 'open') this.source.onResume();
  }

  cancel(error?: Error): void {
    this.#isTaken = true;
    this.#sink = undefined;
    this.#held = undefined;
    if (this.#end !== 'open') return;
    this.#end = 'complete';
    this.source.onCancel(error);
  }

  /** For the connection: bytes were received. They are read when somebody takes the body, within this call of the connection. */
  offer(bytes: Uint8Array, at: number): void {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** For the connection: reads what was offered. If nobody takes the body yet, it is held, and the connection is paused. */
  read(): void {
    if (!this.#isTaken) this.pause();
    if (this.#bytes) this.#read(this.#bytes, this.#at);
  }

  /** For the connection: nothing more comes. @param error why it did not come whole; undefined: the peer has ended */
  end(error: Error | undefined): void {
    if (this.#end !== 'open') return;
    const isWhole = !error && !this.#decoder && this.length === undefined;
    this.#end = isWhole
      ? 'complete'
      : (error ?? new Error('the upstream ended in the middle of the response'));
    this.#report();
  }

  /** Data that were framed. */
  onData(bytes: Uint8Array): void {
    if (this.#sink && !this.#paused && !this.#held) this.#sink.onData(bytes);
    else if (this.#sink || !this.#isTaken) {
      this.#held ??= [];
      this.#held.push(Buffer.from(bytes));
    }
  }

  #goOn(): void {
    while (this.#held && !this.#paused) {
      const bytes = this.#held.shift()!;
      if (this.#held.length === 0) this.#held = undefined;
      this.#sink?.onData(bytes);
    }
    if (this.#bytes && this.#end === 'open') this.#read(this.#bytes, this.#at);
    else this.#report();
  }

  #read(bytes: Uint8Array, at: number): void {
    this.#bytes = undefined;
    const { length } = bytes;
    let end: number;
    if (this.#decoder) {
      end = this.#decoder.feed(bytes, at, length, this);
      if (this.#end !== 'open') return;
      if (this.#decoder.rejection) {
        this.#end = new Error('the upstream sent an invalid chunk');
        this.source.onInvalid();
      } else if (this.#decoder.done) {
        this.#trailers = this.#decoder.trailers;
        this.#complete(end === length);
      }
    } else {
      end = Math.min(length, at + this.#left);
      this.#left -= end - at;
      if (end > at) this.onData(viewOf(bytes, at, end));
      if (this.#left === 0 && this.#end === 'open') this.#complete(end === length);
    }
    this.#report();
  }

  #complete(isLast: boolean): void {
    this.#end = 'complete';
    this.source.onComplete(isLast);
  }

  /** Tells the reader of the end, when it has taken all before it. */
  #report(): void {
    if (this.#end === 'open' || !this.#sink || this.#paused || this.#held) return;
    const sink = this.#sink;
    this.#sink = undefined;
    if (this.#end === 'complete') sink.onEnd(this.#trailers);
    else sink.onError(this.#end);
  }
}
