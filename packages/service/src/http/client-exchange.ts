import { isInternal } from 'mproxy-base';
import type { Fields } from 'mproxy-http';
import { KNOWN } from 'mproxy-http/known-names';
import type { Dated } from '../deadlines.js';
import { proxyHeader } from '../proxy-header.js';
import { Pending } from '../result.js';
import type { RetryBudget } from './client-budget.js';
import type { Call, Failure } from './client-call.js';
import type { UpstreamConnection } from './client-connection.js';
import type { AttemptResult } from './client-observer.js';
import type { ClientSettings } from './client-options.js';
import type { Waiter } from './client-pool.js';
import { Upload } from './client-upload.js';
import type { Upstream } from './client-upstream.js';
import { connectProblem, isExhausted } from './connect-problem.js';
import { mapBack } from './forward-back.js';
import { type HttpContext, type HttpRequest, HttpResponse } from './message.js';

/** How much longer than for a connection of its own a request waits for one in the queue, in milliseconds. */
const QUEUE_GRACE_MS = 500;
const NEVER = Number.POSITIVE_INFINITY;
const MAPPED = (1 << KNOWN.location) | (1 << KNOWN['set-cookie']);

/** What requests of a client share. */
export interface ExchangeClient {
  readonly settings: ClientSettings;
  readonly budget: RetryBudget;
  /** The upstream whose turn it is, if possible another than `except`. */
  pick(except: Upstream | undefined): Upstream;
}

/** A request of a client, until its response begins: over one connection, or several if it is tried again. */
export class Exchange extends Pending<HttpResponse> implements Call, Waiter<UpstreamConnection>, Dated {
  dueAt = NEVER;
  readonly upload: Upload | undefined;
  readonly before: Uint8Array | undefined;
  #upstream: Upstream;
  #connection: UpstreamConnection | undefined;
  #retries: number;
  /** It was sent again because a reused connection had been closed. Another one that is kept may be closed, too. */
  needsNew = false;

  constructor(
    private readonly client: ExchangeClient,
    readonly request: HttpRequest,
    private readonly context: HttpContext,
  ) {
    super();
    const { retries, sendProxy } = client.settings;
    this.#retries = retries;
    this.#upstream = client.pick(undefined);
    const { body, isIdempotent, fields } = request;
    this.upload = body && new Upload(body, isIdempotent, fields.withheld);
    if (sendProxy) this.before = proxyHeader(sendProxy === 'v1' ? 1 : 2, context.peer, context.local);
  }

  begin(): void {
    const { context } = this;
    context.onAbort((error) => this.#abort(error));
    if (!context.aborted) this.#attempt(this.#upstream.take());
  }

  onConnection(connection: UpstreamConnection): void {
    this.#stopWaiting();
    this.#connection = connection;
    connection.send(this);
  }

  onConnectError(error: unknown): void {
    this.#stopWaiting();
    if (isInternal(error)) {
      this.reject(error);
      return;
    }
    this.#attempted('unconnected');
    const { code = '' } = error as NodeJS.ErrnoException;
    if (isExhausted(code)) {
      this.#fail(503, 'no socket is left for a connection to the upstream');
      return;
    }
    this.client.settings.observer.onConnectError?.(this.#upstream.index, error as Error);
    const late = code === 'ETIMEDOUT';
    this.#upstream.failed(this.context.client);
    if (this.#mayRetry(late)) this.#retry(this.client.pick(this.#upstream));
    else this.#fail(late ? 504 : 502, connectProblem(code));
  }

  /** It waited too long in the queue. */
  onDue(): void {
    this.#upstream.pool.cancel(this);
    this.#stopWaiting();
    this.#fail(503, 'no connection to the upstream became free in time');
  }

  onInform(status: number, fields: Fields): void {
    this.context.inform(status, fields);
  }

  onResponse(response: HttpResponse): void {
    const upstream = this.#upstream;
    upstream.succeeded();
    upstream.isOld = response.version === '1.0';
    this.#attempted('answered');
    if ((response.fields.known & MAPPED) !== 0 && this.client.settings.mapsBack)
      mapBack(response, this.request, this.context, upstream.authority);
    this.resolve(response);
  }

  onFailure(failure: Failure): void {
    const { kind, sent, answered, reused, error } = failure;
    this.#connection = undefined;
    if (kind === 'broken') {
      this.#attempted('cancelled');
      this.upload?.stop(error);
      this.reject(error);
      return;
    }
    this.#attempted(kind);
    if (kind === 'late' || (kind === 'closed' && !reused)) this.#upstream.failed(this.context.client);
    const again = kind === 'closed' && !answered && (!sent || this.request.isIdempotent);
    if (again && reused && !this.needsNew && this.#isAvailable) {
      this.needsNew = true;
      this.#retry(this.#upstream);
    } else if (again && this.#mayRetry(false)) this.#retry(this.client.pick(this.#upstream));
    else this.#fail(kind === 'late' ? 504 : 502, PROBLEMS[kind]);
  }

  get #isAvailable(): boolean {
    return this.upload?.isAvailable ?? true;
  }

  /** @param elsewhere whether another upstream alone can help */
  #mayRetry(elsewhere: boolean): boolean {
    if (this.#retries === 0 || !this.#isAvailable) return false;
    if (elsewhere && this.client.settings.upstreams.length < 2) return false;
    this.#retries--;
    return this.client.budget.take();
  }

  #retry(upstream: Upstream): void {
    this.context.retries++;
    this.client.settings.observer.onRetry?.(upstream.index);
    this.#upstream = upstream;
    this.#attempt(undefined);
  }

  /** @param idle a connection; undefined: one is to be waited for */
  #attempt(idle: UpstreamConnection | undefined): void {
    const upstream = this.#upstream;
    this.context.upstream = upstream.name;
    if (upstream.isOld && this.upload?.chunked) {
      idle?.close();
      this.#fail(411, 'the upstream takes request bodies of known length only');
    } else if (idle) this.onConnection(idle);
    else if (upstream.pool.wait(this)) {
      const { deadlines, timeouts } = this.client.settings;
      deadlines.add(this);
      this.dueAt = deadlines.now + timeouts.connect + QUEUE_GRACE_MS;
    } else {
      this.client.settings.observer.onQueueFull?.(upstream.index);
      this.#fail(503, 'too many requests wait for the upstream');
    }
  }

  #stopWaiting(): void {
    if (this.dueAt === NEVER) return;
    this.dueAt = NEVER;
    this.client.settings.deadlines.delete(this);
  }

  #abort(error: Error): void {
    const waited = this.isOpen;
    this.#upstream.pool.cancel(this);
    this.#stopWaiting();
    this.#connection?.cancel(this, error);
    this.upload?.stop(error);
    if (waited) this.#attempted('cancelled');
    this.reject(error);
  }

  #attempted(result: AttemptResult): void {
    this.client.settings.observer.onAttempt?.(this.#upstream.index, result);
  }

  #fail(status: number, problem: string): void {
    this.upload?.stop();
    this.resolve(HttpResponse.text(status, `${problem}\n`));
  }
}

const PROBLEMS = {
  closed: 'the upstream closed the connection before it answered',
  late: 'the upstream did not answer in time',
  invalid: 'the upstream sent an invalid response',
};
