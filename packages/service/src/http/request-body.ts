import { ChunkedDecoder } from 'mproxy-http/chunked-decoder';
import { Rejection } from 'mproxy-http/rejection';
import type { Body, BodySink } from './body.js';
import type { ServerInput } from './server-input.js';
import type { HttpLimits, HttpTimeouts } from './server-options.js';

/** The connection that a request body comes from. */
export interface RequestBodyOwner {
  readonly input: ServerInput;
  /** The service takes it: what has come already is passed on within this call. */
  onBodyStart(): void;
  onBodyPause(): void;
  onBodyResume(): void;
  onBodyCancel(error: Error | undefined): void;
}

export const LONG_BODY = new Rejection(413, 'request body too long');

/** The body of a request, with the time that its client was awaited; or what a client sends after a 101. */
export class RequestBody implements Body {
  readonly length: number | undefined;
  received = 0;
  /** All of it came. */
  isComplete = false;
  #sink: BodySink | undefined;
  #state: 'new' | 'started' | 'paused' | 'over' = 'new';
  readonly #decoder: ChunkedDecoder | undefined;
  /** Milliseconds in which the client was awaited, until {@link #awaitedSince}; -1: it is not awaited. */
  #awaited = 0;
  #awaitedSince = -1;
  #lastAt = 0;
  #isReading = false;
  /** See {@link end}: what is there is the rest of it. */
  isEnding = false;

  /** @param length undefined: chunked; infinite: until the client ends */
  constructor(
    private readonly owner: RequestBodyOwner,
    length: number | undefined,
    private readonly limits: Pick<HttpLimits, 'body' | 'chunks'>,
  ) {
    this.length = length;
    this.#decoder = length === undefined ? new ChunkedDecoder({ extra: limits.chunks }) : undefined;
  }

  /** Whether somebody reads it, or may do so still. */
  get isWanted(): boolean {
    return this.#state !== 'over';
  }

  /** Whether its reader takes bytes, or its end. */
  get isFlowing(): boolean {
    return this.#state === 'started';
  }

  start(sink: BodySink): void {
    if (this.#state === 'over') return;
    this.#sink = sink;
    if (this.#state === 'new') this.#state = 'started';
    this.owner.onBodyStart();
  }

  pause(): void {
    if (this.#state !== 'started' && this.#state !== 'new') return;
    this.#state = 'paused';
    this.#decoder?.pause();
    this.owner.onBodyPause();
  }

  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = this.#sink ? 'started' : 'new';
    this.owner.onBodyResume();
  }

  cancel(error?: Error): void {
    this.#stop();
    this.owner.onBodyCancel(error);
  }

  /** Passes on what is there, if it is taken, or given up. @returns what is wrong with it */
  read(): Rejection | undefined {
    // A reader may pause and resume within its call.
    if (this.#isReading) return undefined;
    this.#isReading = true;
    let rejection: Rejection | undefined;
    while (!rejection && !this.isComplete && this.#takes && this.owner.input.size > 0)
      rejection = this.#decoder ? this.#readChunks(this.#decoder) : this.#readBytes(this.length!);
    this.#isReading = false;
    if (this.isEnding && this.#takes && this.owner.input.size === 0) this.isComplete = true;
    if (rejection || !this.isComplete || this.#state !== 'started') return rejection;
    this.#stop()?.onEnd(this.#decoder?.trailers);
    return undefined;
  }

  /** For one of infinite length: nothing more comes. */
  end(): void {
    this.isEnding = true;
  }

  /** It does not come whole. */
  fail(error: Error): void {
    this.#stop()?.onError(error);
  }

  /** The client is awaited from now on, or not any more. @param now by the clock of deadlines */
  setAwaited(isAwaited: boolean, now: number): void {
    if (isAwaited === this.#awaitedSince >= 0) return;
    if (!isAwaited) this.#awaited += now - this.#awaitedSince;
    this.#awaitedSince = isAwaited ? now : -1;
    this.#lastAt = now;
  }

  /** Bytes were received. */
  touch(now: number): void {
    this.#lastAt = now;
  }

  /** When the client is too slow, if nothing more comes. */
  dueAt({ body, bodyRate }: HttpTimeouts): number {
    if (this.#awaitedSince < 0) return Number.POSITIVE_INFINITY;
    const enough = Math.max(body, (1000 * this.received) / bodyRate);
    return Math.min(this.#lastAt + body, this.#awaitedSince + enough - this.#awaited);
  }

  onData(bytes: Uint8Array): void {
    this.received += bytes.length;
    if (this.received <= this.limits.body) this.#sink?.onData(bytes);
  }

  /** Passes nothing on any more. @returns whoever it was passed on to */
  #stop(): BodySink | undefined {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#state = 'over';
    return sink;
  }

  get #takes(): boolean {
    return this.#state === 'started' || this.#state === 'over';
  }

  #readChunks(decoder: ChunkedDecoder): Rejection | undefined {
    const { input } = this.owner;
    const { bytes, at, end } = input;
    // The sink may end the connection.
    input.at = end;
    const next = decoder.feed(bytes, at, end, this);
    if (input.bytes === bytes) input.at = next;
    this.isComplete = decoder.done;
    return this.received > this.limits.body ? LONG_BODY : decoder.rejection;
  }

  #readBytes(length: number): Rejection | undefined {
    const { input } = this.owner;
    const { bytes, at } = input;
    const end = Math.min(input.end, at + length - this.received);
    input.at = end;
    this.isComplete = this.received + end - at === length;
    this.onData(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    return undefined;
  }
}
