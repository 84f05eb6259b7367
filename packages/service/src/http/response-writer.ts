import { performance } from 'node:perf_hooks';
import type { Fields, Framing } from 'mproxy-http';
import { CHUNK_HEADER, CRLF, lastChunk, writeChunkHeader } from 'mproxy-http/chunk-encoding';
import { maskOf } from 'mproxy-http/known-names';
import { writeResponseHead } from 'mproxy-http/write-head';
import type { Connection } from 'mproxy-net';
import type { Body, BodySink } from './body.js';
import type { HttpResponse } from './message.js';
import type { ServerParts } from './server-options.js';
import { ServerOutput } from './server-output.js';

/** Bytes of a head besides its fields, at most. */
const HEAD = 512;
const DATE = maskOf('date');
const LENGTH = maskOf('content-length');

export interface ResponseOwner {
  /** Whether another response may follow within this call of the connection, so that bytes can wait for it. */
  readonly mayFollow: boolean;
  /** The client takes nothing at the moment; it does again. */
  onBlocked(): void;
  onUnblocked(): void;
  /** All was taken. */
  onResponseEnd(): void;
  /** The response did not come whole, or is not what its head says. @param error of the service, if it is to blame */
  onResponseCut(why: string, error?: unknown): void;
}

/** Writes the responses of a connection, one after the other. */
export class ResponseWriter implements BodySink {
  /** `new`: nothing was sent of it; `taken`: it ended, but the connection has not taken all of it. */
  #state: 'new' | 'body' | 'taken' | 'ended' = 'ended';
  status = 0;
  /** Bytes of the body. */
  sent = 0;
  /** When its head was written; -1: it was not. */
  startedAt = -1;
  /** Whether the connection ends with it. */
  closes = false;
  #isHead = false;
  #isOld = false;
  #framing: Framing;
  #body: Body | undefined;
  #paused = false;
  #isStarting = false;

  readonly #output: ServerOutput;

  constructor(
    connection: Connection,
    private readonly parts: Pick<ServerParts, 'staging' | 'dateLine'>,
    private readonly owner: ResponseOwner,
  ) {
    this.#output = new ServerOutput(connection, parts.staging, () => this.#onBlocked());
  }

  /**
   * Another request is to be answered.
   * @param isHead its method is HEAD
   * @param isOld HTTP/1.0: neither chunked, nor interim responses, nor kept without a word
   */
  begin(isHead: boolean, isOld: boolean): void {
    this.#state = 'new';
    this.#isHead = isHead;
    this.#isOld = isOld;
    this.status = 0;
    this.sent = 0;
    this.startedAt = -1;
  }

  /** Whether nothing of the response was sent. */
  get isNew(): boolean {
    return this.#state === 'new';
  }

  /** Whether the connection has taken all of it. */
  get hasEnded(): boolean {
    return this.#state === 'ended';
  }

  /** Sends an interim response, unless the client takes nothing at the moment. @throws RangeError for another status */
  inform(status: number, fields: Fields): void {
    if (!(status >= 100 && status <= 199) || status === 101) throw new RangeError(`interim status ${status}`);
    if (this.#state !== 'new' || this.#isOld) return;
    // Nothing slows whoever sends them down: a client that takes nothing gets no more of them.
    if (this.#output.isBlocked) return;
    this.#head(status, fields, undefined, undefined, undefined);
    this.flush();
  }

  /** @param closes whether the connection ends with it @throws RangeError for a status below 200, or above 599 */
  respond(response: HttpResponse, closes: boolean): void {
    const { status, fields, body } = response;
    if (!(status >= 200 && status <= 599)) throw new RangeError(`response status ${status}`);
    const isEmpty = this.#isHead || status === 204 || status === 304;
    if (!isEmpty && (fields.known & LENGTH) !== 0) fields.delete('content-length');
    this.status = status;
    this.#framing = this.#framingOf(response, isEmpty);
    this.closes = closes || (!isEmpty && this.#framing === undefined);
    this.startedAt = performance.now();
    const connection = this.closes ? 'close' : this.#isOld ? 'keep-alive' : undefined;
    const date = (fields.known & DATE) === 0 ? this.parts.dateLine.now : undefined;
    this.#head(status, fields, this.#framing, date, connection);
    this.#state = 'body';
    if (isEmpty || !body) {
      body?.cancel();
      this.#end();
    } else this.#start(body);
  }

  /** Switches protocols: what follows is not framed, and its end is that of this direction (RFC 9110, section 15.2.2). */
  switchTo(protocol: string, { fields, body }: HttpResponse): void {
    fields.set('upgrade', protocol);
    this.status = 101;
    this.#framing = undefined;
    this.closes = true;
    this.startedAt = performance.now();
    this.#head(101, fields, undefined, undefined, 'upgrade');
    this.#state = 'body';
    this.flush();
    if (body) this.#start(body);
    else this.#end();
  }

  /** Sends what it has collected. */
  flush(): void {
    this.#output.flush();
  }

  onData(bytes: Uint8Array): void {
    if (this.#state !== 'body' || bytes.length === 0) return;
    const framing = this.#framing;
    if (typeof framing === 'number' && this.sent + bytes.length > framing) {
      this.#fail('the response body is longer than its length');
      return;
    }
    this.sent += bytes.length;
    const output = this.#output;
    if (framing === 'chunked') {
      const staging = output.reserve(CHUNK_HEADER);
      staging.length = writeChunkHeader(staging.buffer, staging.length, bytes.length);
    }
    output.write(bytes);
    if (framing === 'chunked') output.write(CRLF);
    if (!this.#isStarting) this.flush();
  }

  onEnd(trailers?: Fields): void {
    if (this.#state !== 'body') return;
    if (typeof this.#framing === 'number' && this.sent < this.#framing) {
      this.#fail('the response body is shorter than its length');
      return;
    }
    if (this.#framing === 'chunked') this.#output.write(lastChunk(trailers));
    this.#body = undefined;
    this.#end();
  }

  onError(error: Error): void {
    if (this.#state !== 'body') return;
    this.#body = undefined;
    this.owner.onResponseCut(error.message);
  }

  /** The connection takes bytes again. */
  onDrain(): void {
    const wasPaused = this.#paused;
    this.#paused = false;
    this.owner.onUnblocked();
    if (this.#state === 'taken') this.#end();
    else if (wasPaused) this.#body?.resume();
  }

  /** Nothing more is sent of it. @returns whether the client can tell from its framing that it is not complete */
  cut(error: Error): boolean {
    const body = this.#body;
    const showsEnd = this.#state !== 'body' || this.#framing !== undefined;
    this.#body = undefined;
    this.#state = 'ended';
    body?.cancel(error);
    return showsEnd;
  }

  #framingOf({ fields, body, status }: HttpResponse, isEmpty: boolean): Framing {
    if (isEmpty) {
      const isDescribed = this.#isHead && status !== 204 && status !== 304 && (fields.known & LENGTH) === 0;
      return isDescribed ? body?.length : undefined;
    }
    if (!body) return 0;
    return body.length ?? (this.#isOld ? undefined : 'chunked');
  }

  #head(
    status: number,
    fields: Fields,
    framing: Framing,
    date: Uint8Array | undefined,
    connection: string | undefined,
  ): void {
    const staging = this.#output.reserve(fields.size + HEAD);
    staging.length = writeResponseHead(
      staging.buffer,
      staging.length,
      status,
      fields,
      framing,
      date,
      connection,
    );
  }

  #start(body: Body): void {
    this.#body = body;
    this.#paused = false;
    this.#isStarting = true;
    try {
      body.start(this);
    } catch (error) {
      this.owner.onResponseCut('the service failed', error);
    } finally {
      this.#isStarting = false;
    }
    if (this.#state === 'body') this.flush();
  }

  /** All of it is given to the connection, or collected. */
  #end(): void {
    this.#state = 'taken';
    if (!this.owner.mayFollow || this.closes) this.flush();
    if (this.#output.isBlocked) return;
    this.#state = 'ended';
    this.owner.onResponseEnd();
  }

  #fail(message: string): void {
    this.owner.onResponseCut(message, new Error(message));
  }

  #onBlocked(): void {
    this.owner.onBlocked();
    if (this.#paused || this.#state !== 'body' || !this.#body) return;
    this.#paused = true;
    this.#body.pause();
  }
}
