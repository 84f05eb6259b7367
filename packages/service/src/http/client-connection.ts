import type { ResponseHead } from 'mproxy-http';
import { Rejection } from 'mproxy-http/rejection';
import type { Connection, ConnectionHandler, PeerAddress } from 'mproxy-net';
import type { Dated, Deadlines } from '../deadlines.js';
import type { Call, Failure } from './client-call.js';
import { bodyLimit, framingOf, ResponseHeads } from './client-heads.js';
import type { UpstreamTimeouts } from './client-options.js';
import { ResponseBody, type ResponseSource } from './client-response-body.js';
import { writeHead } from './client-staging.js';
import { UpstreamTunnel } from './client-tunnel.js';
import type { UploadTarget } from './client-upload.js';
import { type HttpRequest, HttpResponse } from './message.js';

/** How long an upstream may take to say 100 before the body is sent all the same (RFC 9110, section 10.1.1), in milliseconds. */
const CONTINUE_MS = 1000;
const NEVER = Number.POSITIVE_INFINITY;

/** What a connection belongs to. */
export interface ConnectionOwner {
  readonly deadlines: Deadlines;
  readonly timeouts: UpstreamTimeouts;
  /** Idle time, in milliseconds, if the upstream says nothing. */
  readonly idleTime: number;
  /** The value of Host for a request. */
  hostFor(request: HttpRequest): string;
  /** A request has ended, and another one can follow. */
  release(connection: UpstreamConnection): void;
  remove(connection: UpstreamConnection): void;
}

type State = 'idle' | 'head' | 'body' | 'closed';

/** A connection to an upstream: HTTP/1.1, one request at a time. */
export class UpstreamConnection implements ConnectionHandler, ResponseSource, UploadTarget, Dated {
  dueAt = NEVER;
  /** Not to be used for another request. */
  isLast = false;
  #state: State = 'idle';
  #call: Call | undefined;
  #body: ResponseBody | undefined;
  #requests = 0;
  /** Bytes that were sent before the request. */
  #sentBefore = 0;
  #uploaded = false;
  #awaitsContinue = false;
  #keepAlive = false;
  #paused = false;
  #keepTime: number;
  #bodyLimit = NEVER;
  readonly #heads = new ResponseHeads();
  /** Whether any byte of a response has arrived, be it of an interim one: then the request is not sent again. */
  #isAnswered = false;

  /** @param address what it is connected to */
  constructor(
    readonly connection: Connection,
    readonly address: PeerAddress,
    private readonly owner: ConnectionOwner,
  ) {
    this.#keepTime = owner.idleTime;
    this.#setIdle();
    owner.deadlines.add(this);
    connection.start(this);
  }

  /** Sends a request. */
  send(call: Call): void {
    const { request, upload, before } = call;
    this.#state = 'head';
    this.#call = call;
    this.#sentBefore = this.connection.sent;
    this.#uploaded = upload === undefined;
    this.#isAnswered = false;
    this.#requests++;
    if (before) this.isLast = true;
    const head = writeHead(request, this.owner.hostFor(request), before);
    if (!upload) {
      this.#sendHead(head, request.isIdempotent);
      this.#await();
    } else if (request.expectsContinue) {
      this.#sendHead(head, false);
      this.#awaitsContinue = true;
      this.#await(CONTINUE_MS);
    } else {
      this.dueAt = NEVER;
      upload.begin(this, head);
    }
  }

  /** Nobody waits for the response of this call any more. */
  cancel(call: Call, error: Error): void {
    if (this.#call !== call) return;
    const body = this.#body;
    this.#unwanted();
    body?.end(error);
  }

  /** Closes it if it is idle; else when its request has ended. */
  close(): void {
    this.isLast = true;
    if (this.#state === 'idle') this.#shut(false);
  }

  onData(bytes: Buffer): void {
    if (this.#state === 'body') {
      this.#await(this.#bodyLimit);
      const body = this.#body!;
      body.offer(bytes, 0);
      body.read();
    } else if (this.#state === 'head') this.#readHeads(bytes);
    // Nobody has asked for it.
    else if (this.#state === 'idle') this.#shut(false);
  }

  onEnd(): void {
    this.#ended(undefined);
  }

  onClose(error?: Error): void {
    if (this.#state !== 'closed') this.#ended(error ?? new Error('the upstream closed the connection'));
  }

  onDrain(): void {
    this.#call?.upload?.onDrain();
  }

  onDue(): void {
    this.dueAt = NEVER;
    if (this.#state === 'idle') this.#shut(false);
    else if (this.#awaitsContinue) this.#continue();
    else if (this.#state === 'head') this.#fail('late', undefined);
    else if (this.#state === 'body')
      this.#cut(new Error('the upstream sent nothing more of the response in time'));
  }

  // The request.

  onBlocked(): void {
    if (this.#state === 'head') this.#await();
  }

  onUnblocked(): void {
    if (this.#state === 'head') this.dueAt = NEVER;
  }

  onUploaded(): void {
    this.#uploaded = true;
    if (this.#state === 'head') this.#await();
  }

  onBroken(error: Error): void {
    if (this.#state === 'head') this.#fail('broken', error);
    else if (this.#state === 'body') this.#cut(error);
  }

  /** @param soon see {@link Connection.offer}: a request that must not be sent twice is never sent later than it is said to be */
  #sendHead(head: Uint8Array, soon: boolean): void {
    const { connection } = this;
    const taken = connection.offer(head, soon);
    if (taken < head.length) connection.write([Buffer.from(head.subarray(taken))]);
  }

  #continue(): void {
    this.#awaitsContinue = false;
    this.dueAt = NEVER;
    this.#call!.upload!.begin(this);
  }

  // The response.

  onPause(): void {
    this.dueAt = NEVER;
    this.#paused = true;
    this.connection.pause();
  }

  onResume(): void {
    this.#await(this.#bodyLimit);
    this.#paused = false;
    this.connection.resume();
  }

  onComplete(isLast: boolean): void {
    this.#finish(isLast);
  }

  onInvalid(): void {
    this.#shut(true);
  }

  onCancel(): void {
    this.#unwanted();
  }

  #readHeads(received: Buffer): void {
    this.#isAnswered = true;
    const heads = this.#heads;
    const call = this.#call!;
    heads.add(received);
    while (this.#state === 'head' && this.#call === call) {
      const head = heads.next(call.request.method);
      if (head === undefined) return;
      if (head instanceof Rejection) this.#fail('invalid', new Error(head.reason));
      else if (head.status >= 200) this.#respond(call, head, heads.bytes);
      else if (head.status === 101) this.#switch(call, head, heads.bytes);
      else this.#inform(call, head);
    }
  }

  #inform(call: Call, { status, fields }: ResponseHead): void {
    if (status !== 100 || this.#awaitsContinue || !call.request.expectsContinue)
      call.onInform(status, fields);
    if (status === 100 && this.#awaitsContinue && this.#call === call) this.#continue();
  }

  #switch(call: Call, { fields, upgrade, version, headEnd }: ResponseHead, bytes: Buffer): void {
    const asked = call.request.upgrade;
    if (!asked || version === '1.0' || upgrade?.toLowerCase() !== asked.protocol) {
      this.#fail('invalid', new Error('101 without a request for it'));
      return;
    }
    const { owner, connection } = this;
    this.#clear();
    this.#state = 'closed';
    owner.deadlines.delete(this);
    connection.putBack(bytes.subarray(headEnd));
    const closed = () => owner.remove(this);
    const tunnel = new UpstreamTunnel(connection, asked.body, owner.deadlines, owner.timeouts.tunnel, closed);
    call.onResponse(new HttpResponse(101, fields, tunnel.body, version));
    if (!tunnel.body.isTaken) fields.keep();
    tunnel.begin();
  }

  #respond(call: Call, head: ResponseHead, bytes: Buffer): void {
    const { status, fields, version } = head;
    const framing = framingOf(head);
    this.#keepAlive = head.keepAlive;
    this.#keepTime =
      head.keepAliveTimeout === undefined ? this.owner.idleTime : (head.keepAliveTimeout - 1) * 1000;
    this.#awaitsContinue = false;
    const body = framing === 0 ? undefined : new ResponseBody(this, framing);
    const response = new HttpResponse(status, fields, body, version);
    if (!body) {
      this.#finish(head.headEnd === bytes.length);
      call.onResponse(response);
      // Whoever is not done with it needs a copy.
      fields.keep();
      return;
    }
    this.#state = 'body';
    this.#body = body;
    this.#bodyLimit = bodyLimit(head, this.owner.timeouts);
    this.#await(this.#bodyLimit);
    body.offer(bytes, head.headEnd);
    call.onResponse(response);
    if (!body.isTaken) fields.keep();
    body.read();
  }

  // Its life.

  /** The response was read whole. @param isLast nothing came behind it */
  #finish(isLast: boolean): void {
    if (this.#keepAlive && isLast && this.#uploaded && !this.isLast && this.#keepTime > 0) {
      this.#clear();
      this.#setIdle();
      // The reader of the response has the rest of it, and takes its time.
      if (this.#paused) {
        this.#paused = false;
        this.connection.resume();
      }
      this.owner.release(this);
    } else {
      this.#state = 'body';
      this.#shut(false);
    }
  }

  #setIdle(): void {
    this.#state = 'idle';
    this.dueAt = this.owner.deadlines.now + this.#keepTime;
  }

  /** The peer has ended, or the connection is closed. */
  #ended(error: Error | undefined): void {
    if (this.#state === 'head') {
      this.#fail(this.#heads.isPartial ? 'invalid' : 'closed', error);
      return;
    }
    const body = this.#body;
    this.#shut(false);
    body?.end(error);
  }

  /** The response does not come whole. */
  #cut(error: Error): void {
    const body = this.#body!;
    this.#shut(true);
    body.end(error);
  }

  #fail(kind: Failure['kind'], error: Error | undefined): void {
    const call = this.#call!;
    const failure = {
      kind,
      sent: this.connection.sent > this.#sentBefore,
      answered: this.#isAnswered,
      reused: this.#requests > 1,
      error,
    };
    call.upload?.detach();
    this.#shut(true);
    call.onFailure(failure);
  }

  /**
   * Nobody wants the response. An upstream that has the whole request sees that by the end of the connection; a reset could discard the
   * request in its socket, and kill a program that answers it without ignoring SIGPIPE. Of an upload the rest is not sent.
   */
  #unwanted(): void {
    this.#shut(!this.#uploaded);
  }

  /** Closes it. @param resets whether the upstream is to notice at once that nobody wants its response */
  #shut(resets: boolean): void {
    if (this.#state === 'closed') return;
    // Before a response, the request may be sent again.
    const upload = this.#state === 'body' && !this.#uploaded ? this.#call?.upload : undefined;
    this.#clear();
    this.#state = 'closed';
    this.owner.deadlines.delete(this);
    if (resets) this.connection.abort();
    else this.connection.close();
    this.owner.remove(this);
    upload?.stop();
  }

  #clear(): void {
    this.#call = undefined;
    this.#body = undefined;
    this.#awaitsContinue = false;
    this.dueAt = NEVER;
  }

  /** The upstream is awaited. */
  #await(ms = this.owner.timeouts.responseHead): void {
    this.dueAt = this.owner.deadlines.now + ms;
  }
}
