import type { Fields } from 'mproxy-http';

/**
 * The bytes of a message on their way. Whoever has the body takes it by {@link start} or gives it up by {@link cancel}; what nobody takes
 * waits in the kernel, and slows its sender down.
 */
export interface Body {
  /** Bytes, if that is known before they came. */
  readonly length: number | undefined;
  /** Passes the bytes on. What is there already may be passed within this call. Called once. */
  start(sink: BodySink): void;
  /** Passes nothing on until {@link resume}; allowed within `onData`. */
  pause(): void;
  resume(): void;
  /** Nobody wants it any more; the sink is called no more. What becomes of the connection is its owner's concern. */
  cancel(error?: Error): void;
}

/** Takes the bytes of a body: `onData` any number of times, then `onEnd` or `onError`. */
export interface BodySink {
  /** Borrowed bytes, valid during the call. A sink that is full pauses the body. */
  onData(bytes: Uint8Array): void;
  /** It is complete. */
  onEnd(trailers?: Fields): void;
  /** It did not come whole: the message that it became must not look complete. */
  onError(error: Error): void;
}

/** What is passed on at once of a body that is there already. */
const PIECE = 256 * 1024;

/** A body that is there already. */
export class BytesBody implements Body {
  #sink: BodySink | undefined;
  #at = 0;
  #paused = false;
  #isPassing = false;

  constructor(private readonly bytes: Uint8Array) {}

  get length(): number {
    return this.bytes.length;
  }

  start(sink: BodySink): void {
    this.#sink = sink;
    this.#pass();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#pass();
  }

  cancel(): void {
    this.#sink = undefined;
  }

  #pass(): void {
    // A sink may pause and resume within its call.
    if (this.#isPassing) return;
    this.#isPassing = true;
    const { bytes } = this;
    while (this.#sink && !this.#paused && this.#at < bytes.length) {
      const from = this.#at;
      this.#at = Math.min(from + PIECE, bytes.length);
      this.#sink.onData(bytes.length <= PIECE ? bytes : bytes.subarray(from, this.#at));
    }
    this.#isPassing = false;
    if (this.#paused) return;
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.onEnd();
  }
}
