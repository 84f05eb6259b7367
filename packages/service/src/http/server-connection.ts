import type { RequestHead, RequestParser } from 'mproxy-http';
import { Rejection } from 'mproxy-http/rejection';
import type { Connection, ConnectionHandler } from 'mproxy-net';
import type { Connections, Idler } from '../connections.js';
import type { Context } from '../context.js';
import type { Dated } from '../deadlines.js';
import { Pending } from '../result.js';
import { Exchange, type ExchangeOwner } from './exchange.js';
import { LONG_BODY } from './request-body.js';
import { SendWatch } from './send-watch.js';
import { ServerInput } from './server-input.js';
import type { ServerParts } from './server-options.js';

/** Bytes that are held while they cannot be used; with more, the client is slowed down. */
const HELD = 16 * 1024;
/** In which a connection without a request is not idle yet, in milliseconds. */
const NEW_MS = 1000;
const NEVER = Number.POSITIVE_INFINITY;
const SLOW_HEAD = new Rejection(408, 'request head timed out');
const SLOW_BODY = new Rejection(408, 'request body timed out');

/**
 * A connection of a client. Requests are served one at a time, in their order: what comes behind one waits until its response has ended.
 *
 * `new`: nothing was received yet, but may be on its way. `idle`: nothing was received of the next request. `head`: a part of it. `busy`: it is served. `over`: nothing is received any more.
 */
export class ServerConnection implements ConnectionHandler, ExchangeOwner, Dated, Idler {
  readonly done = new Pending<void>();
  readonly input = new ServerInput();
  // A number from the beginning: V8 then writes it in place, without an allocation.
  dueAt = NEVER;
  slot: number | undefined;
  isIdle = false;
  idleBefore: Idler | undefined;
  idleAfter: Idler | undefined;
  isUsingInput = false;
  #state: 'new' | 'idle' | 'head' | 'busy' | 'over' = 'new';
  /** While a head is incomplete. */
  #parser: RequestParser | undefined;
  readonly #exchange: Exchange;
  #paused = false;
  #isClosed = false;
  readonly #watch: SendWatch;

  constructor(
    private readonly parts: ServerParts,
    private readonly connection: Connection,
    private readonly context: Context,
    private readonly connections: Connections,
  ) {
    this.#watch = new SendWatch(connection, parts.timeouts.send);
    this.#exchange = new Exchange(parts, this, connection, context);
    parts.deadlines.add(this);
    this.dueAt = parts.deadlines.now + Math.min(NEW_MS, parts.timeouts.head);
    context.onAbort((error) => this.#exchange.cut(error.message, undefined, true));
  }

  get isDraining(): boolean {
    return this.connections.draining;
  }

  onData(bytes: Uint8Array): void {
    if (this.#state === 'over') return;
    this.connections.becomesBusy(this);
    this.input.add(bytes);
    this.#exchange.body?.touch(this.parts.deadlines.now);
    this.#useInput();
  }

  onEnd(): void {
    if (this.#exchange.http) this.#exchange.clientEnded();
    else if (this.#state !== 'over') this.#close(false);
  }

  onHangup(): void {
    // After a 101 it may have ended its direction alone.
    if (this.#exchange.http && !this.#exchange.isSwitched) this.#exchange.clientLeft();
  }

  onDrain(): void {
    this.#exchange.writer.onDrain();
    this.#useInput();
  }

  onClose(error?: Error): void {
    const exchange = this.#exchange;
    this.#isClosed = true;
    // Both directions of a tunnel may have ended before all is taken that the client has sent.
    if (exchange.http && (error || !exchange.hasClientEnded)) exchange.clientLeft();
    if (!exchange.http) this.#over();
  }

  closeIdle(): void {
    this.#close(false);
  }

  onDue(): void {
    const { deadlines, timeouts } = this.parts;
    const { now } = deadlines;
    if (this.#watch.isOver(now)) this.#exchange.cut('the client takes nothing', undefined, true);
    else if (this.#state === 'busy') {
      if (this.#bodyDueAt() <= now) this.#reject(SLOW_BODY);
      else this.#setBusyDue();
    } else if (this.#watch.isOn) this.dueAt = this.#watch.lookAt(now);
    else if (this.#state === 'head') this.#reject(SLOW_HEAD);
    else if (this.#state === 'idle' || this.isDraining) this.#close(false);
    else if (this.#state === 'new') {
      this.#state = 'idle';
      this.dueAt += Math.max(0, timeouts.head - NEW_MS);
      this.connections.becomesIdle(this);
    } else this.dueAt = now + timeouts.idle;
  }

  onChange(): void {
    if (!this.isUsingInput) this.#settle();
  }

  onTake(): void {
    this.#useInput();
  }

  onBlocked(): void {
    const { now } = this.parts.deadlines;
    this.#watch.begin(now);
    this.dueAt = Math.min(this.dueAt, this.#watch.lookAt(now));
  }

  onUnblocked(): void {
    this.#watch.end();
  }

  onSwitch(): void {
    this.connection.userTimeout?.(this.parts.timeouts.send);
  }

  onDirectionEnd(): void {
    this.connection.end();
  }

  onExchangeEnd(closes: boolean, lingers: boolean): void {
    if (closes) this.#close(lingers);
    else this.#useInput();
  }

  onExchangeCut(resets: boolean): void {
    this.#over();
    if (resets) this.connection.abort();
    else this.connection.close();
  }

  /** Serves what was received. */
  #useInput(): void {
    if (this.isUsingInput) return;
    this.isUsingInput = true;
    try {
      while (this.#step());
    } finally {
      this.isUsingInput = false;
      this.#exchange.writer.flush();
      this.#settle();
    }
  }

  /** @returns whether another request may follow */
  #step(): boolean {
    const exchange = this.#exchange;
    const { input } = this;
    if (this.#state === 'over') return false;
    if (exchange.http) exchange.readBody();
    else {
      // Whoever takes no responses gets no more of them.
      if (input.size === 0 || this.connection.writing) return false;
      const head = this.#parse();
      if (head === undefined) return false;
      if (head instanceof Rejection) this.#reject(head);
      else if ((head.contentLength ?? 0) > this.parts.limits.body) this.#reject(LONG_BODY);
      else {
        input.at = head.headEnd;
        this.#state = 'busy';
        exchange.serve(head);
      }
    }
    return exchange.http === undefined;
  }

  #parse(): RequestHead | Rejection | undefined {
    const { parsers } = this.parts;
    const { bytes, at, end } = this.input;
    const parser = this.#parser ?? parsers.take();
    const head = parser.parse(bytes, at, end);
    if (head === undefined) this.#parser = parser;
    else {
      this.#parser = undefined;
      parsers.put(parser);
    }
    return head;
  }

  /** What was received is used, as far as that is possible now: says what is waited for. */
  #settle(): void {
    if (this.#state === 'over') return;
    const { http, body } = this.#exchange;
    if (http) this.#exchange.keep();
    this.input.keep();
    // Heads have limits of their own.
    const awaitsHead = this.#parser !== undefined && !this.connection.writing;
    this.#setPaused(!awaitsHead && this.input.size >= HELD);
    if (http) {
      body?.setAwaited(this.#exchange.awaitsBody, this.parts.deadlines.now);
      this.#setBusyDue();
    } else this.#awaitHead();
  }

  #awaitHead(): void {
    const { deadlines, timeouts } = this.parts;
    if (this.input.size > 0) {
      if (this.#state !== 'head') this.dueAt = deadlines.now + timeouts.head;
      this.#state = 'head';
    } else if (this.isDraining) {
      this.#close(false);
      return;
    } else {
      this.#state = 'idle';
      this.dueAt = deadlines.now + timeouts.idle;
      this.connections.becomesIdle(this);
    }
    if (this.#watch.isOn) this.dueAt = this.#watch.lookAt(deadlines.now);
  }

  #reject(rejection: Rejection): void {
    if (!this.#exchange.http) this.parts.options.onRejected?.(rejection, this.context);
    this.#exchange.reject(rejection);
  }

  #setBusyDue(): void {
    this.dueAt = Math.min(this.#watch.lookAt(this.parts.deadlines.now), this.#bodyDueAt());
  }

  #bodyDueAt(): number {
    const { body } = this.#exchange;
    return body ? body.dueAt(this.parts.timeouts) : NEVER;
  }

  #setPaused(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) this.connection.pause();
    else this.connection.resume();
  }

  /** Ends the connection, when all is sent. */
  #close(lingers: boolean): void {
    const waits = lingers || this.input.size > 0;
    this.#over();
    this.#exchange.writer.flush();
    const { connection, parts } = this;
    if (waits || connection.writing) connection.linger(parts.timeouts.linger);
    else {
      // close_notify; without TLS, closing ends it just the same.
      if (connection.tls) connection.end();
      connection.close();
    }
  }

  #over(): void {
    this.#state = 'over';
    this.dueAt = NEVER;
    this.#watch.end();
    this.input.clear();
    this.#parser = undefined;
    this.connections.becomesBusy(this);
    if (!this.#isClosed) return;
    this.parts.deadlines.delete(this);
    this.done.resolve();
  }
}
