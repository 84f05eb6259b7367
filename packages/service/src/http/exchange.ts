import { performance } from 'node:perf_hooks';
import type { Rejection, RequestHead } from 'mproxy-http';
import { Fields } from 'mproxy-http/fields';
import type { Connection } from 'mproxy-net';
import type { Context } from '../context.js';
import { isLater, type Result, whenDone } from '../result.js';
import { bodyOf, endlessBody, protocolOf, requestOf } from './exchange-request.js';
import { HttpContext, type HttpRequest, HttpResponse } from './message.js';
import type { RequestBody, RequestBodyOwner } from './request-body.js';
import { type ResponseOwner, ResponseWriter } from './response-writer.js';
import type { ServerInput } from './server-input.js';
import type { ServerParts } from './server-options.js';

/** The status of the access log for a client that did not wait; nginx's. */
const CLIENT_LEFT = 499;

export interface ExchangeOwner {
  readonly input: ServerInput;
  /** Whether bytes received are being used; {@link onChange} is not needed then. */
  readonly isUsingInput: boolean;
  /** Whether no connection is kept any more. */
  readonly isDraining: boolean;
  /** What it waits for may have changed. */
  onChange(): void;
  /** More of the input can be used. */
  onTake(): void;
  onBlocked(): void;
  onUnblocked(): void;
  /** It is answered with 101. */
  onSwitch(): void;
  /** After a 101: nothing more is sent, and the client goes on sending. */
  onDirectionEnd(): void;
  /** The response has ended. @param closes the connection ends with it @param lingers the client may still be sending */
  onExchangeEnd(closes: boolean, lingers: boolean): void;
  /** The response was cut. @param resets it could look complete otherwise */
  onExchangeCut(resets: boolean): void;
}

/** What a connection serves: a request and its response, one after the other. */
export class Exchange implements RequestBodyOwner, ResponseOwner {
  readonly input: ServerInput;
  readonly writer: ResponseWriter;
  /** Undefined: there is none, or it has ended. */
  http: HttpContext | undefined;
  body: RequestBody | undefined;
  #request: HttpRequest | undefined;
  /** Whether the client goes on with the connection. */
  #keepAlive = false;
  /** Whether the service has not answered yet. */
  #awaitsService = false;
  /** Whether the fields of the request are borrowed. */
  #borrows = false;
  /** Whether the client was told to go on (100). */
  #continued = false;
  #startedAt = 0;
  /** The protocol that the client asks for. */
  #protocol: string | undefined;
  /** It was answered with 101: {@link body} is what the client sends from then on. */
  isSwitched = false;
  /** While a response begins, which may end, too: the clock is read once. */
  #isResponding = false;
  readonly #scheme: 'http' | 'https';

  constructor(
    private readonly parts: ServerParts,
    private readonly owner: ExchangeOwner,
    connection: Connection,
    private readonly context: Context,
  ) {
    this.input = owner.input;
    this.writer = new ResponseWriter(connection, parts, this);
    this.#scheme = context.tls ? 'https' : 'http';
  }

  readonly #inform = (status: number, fields: Fields): void => {
    if (status === 100) this.#continued = true;
    this.writer.inform(status, fields);
  };

  readonly #onResponse = (response: HttpResponse): void => {
    if (this.#awaitsService) this.#respond(response);
    else response.body?.cancel();
  };

  readonly #onFailure = (error: unknown): void => {
    if (this.#awaitsService) this.#failed(error);
  };

  get mayFollow(): boolean {
    if (!this.owner.isUsingInput || !this.#keepAlive || this.input.size === 0) return false;
    return !this.body || this.body.isComplete;
  }

  /** Whether the client is awaited: its body is read, and no response has begun. */
  get awaitsBody(): boolean {
    return this.body?.isFlowing === true && !this.body.isComplete && this.writer.isNew;
  }

  serve(head: RequestHead): void {
    const { limits, upgrades } = this.parts;
    this.#keepAlive = head.keepAlive;
    this.#continued = false;
    this.#borrows = true;
    this.#startedAt = performance.now();
    this.isSwitched = false;
    this.writer.begin(head.method === 'HEAD', head.version === '1.0');
    const body = bodyOf(head, this, limits);
    const protocol = body ? undefined : protocolOf(head, upgrades);
    const upgrade = protocol === undefined ? undefined : { protocol, body: endlessBody(this, limits) };
    this.#protocol = protocol;
    this.body = upgrade?.body ?? body;
    const request = requestOf(head, this.#scheme, body, upgrade);
    const http = new HttpContext(this.context, this.#inform);
    this.#request = request;
    this.http = http;
    this.#call(request, http);
  }

  /** Copies what is borrowed of the request: it goes on after the call of the connection. */
  keep(): void {
    if (!this.#borrows) return;
    this.#borrows = false;
    this.#request?.fields.keep();
  }

  /** Passes on what is there of the body. What comes behind a request for another protocol waits for its response. */
  readBody(): void {
    if (this.#protocol !== undefined && !this.isSwitched && this.writer.isNew) return;
    const rejection = this.body?.read();
    if (rejection) this.reject(rejection);
    else if (this.isSwitched) this.#endSwitched();
  }

  onBodyStart(): void {
    const waits = this.#request?.expectsContinue && !this.#continued && this.writer.isNew;
    if (waits && this.body?.received === 0 && this.input.size === 0) this.#inform(100, new Fields());
    this.#takeBody();
  }

  onBodyPause(): void {
    this.owner.onChange();
  }

  onBodyResume(): void {
    this.#takeBody();
  }

  onBodyCancel(error: Error | undefined): void {
    if (!this.isSwitched) return;
    if (error) this.cut(error.message, this.writer.status, true);
    else this.#endSwitched();
  }

  onBlocked(): void {
    this.owner.onBlocked();
  }

  onUnblocked(): void {
    this.owner.onUnblocked();
  }

  /** Answers instead of a service, which is not waited for any more, and ends the connection. */
  reject({ status, reason, allow }: Rejection): void {
    const { http, writer } = this;
    if (http && !writer.isNew) {
      this.cut(reason);
      return;
    }
    if (!http) writer.begin(false, false);
    this.#awaitsService = false;
    const error = new Error(reason);
    this.body?.fail(error);
    http?.abort(error);
    writer.respond(HttpResponse.text(status, `${reason}\n`, allow === undefined ? {} : { allow }), true);
  }

  onResponseEnd(): void {
    const { body, writer } = this;
    if (this.isSwitched && body?.isWanted) {
      this.owner.onDirectionEnd();
      return;
    }
    // What nobody has read may be here already.
    if (body && !this.isSwitched && !body.isComplete && !body.isFlowing) {
      body.cancel();
      body.read();
    }
    const isWhole = !body || body.isComplete;
    body?.fail(new Error('the response ended before the request'));
    this.#finish(writer.status, undefined);
    this.owner.onExchangeEnd(writer.closes || !isWhole, !isWhole);
  }

  onResponseCut(why: string, error?: unknown): void {
    if (error !== undefined) this.#report(error);
    this.cut(why);
  }

  /** After a 101: the client has ended its direction, of which the rest may still have to be taken. */
  get hasClientEnded(): boolean {
    return this.isSwitched && this.body?.isEnding === true;
  }

  clientLeft(): void {
    this.cut('client left', this.isSwitched ? this.writer.status : CLIENT_LEFT);
  }

  /** The client sends nothing more. Before its response has ended, that counts as an abort: it has left. */
  clientEnded(): void {
    if (!this.isSwitched || !this.body) {
      this.clientLeft();
      return;
    }
    this.body.end();
    this.#takeBody();
  }

  /** Ends it in the middle. @param status for the access log @param resets in any case */
  cut(why: string, status = this.writer.status, resets = false): void {
    const error = new Error(why);
    this.#awaitsService = false;
    // Neither direction is waited for.
    this.isSwitched = false;
    this.writer.flush();
    const showsEnd = this.writer.cut(error);
    this.body?.fail(error);
    this.http?.abort(error);
    this.#finish(status, why);
    this.owner.onExchangeCut(resets || !showsEnd);
  }

  /** After a 101, one direction has ended: if both have, the connection does. */
  #endSwitched(): void {
    if (this.http && !this.body?.isWanted && this.writer.hasEnded) this.onResponseEnd();
  }

  #takeBody(): void {
    if (this.owner.isUsingInput) this.readBody();
    else this.owner.onTake();
  }

  #call(request: HttpRequest, http: HttpContext): void {
    let result: Result<HttpResponse>;
    try {
      result = this.parts.service.call(request, http);
    } catch (error) {
      if (this.#isUnanswered(http)) this.#failed(error);
      else this.#report(error);
      return;
    }
    const goesOn = this.#isUnanswered(http);
    if (goesOn && !isLater(result)) this.#respond(result);
    else {
      this.#awaitsService = goesOn;
      whenDone(result, this.#onResponse, this.#onFailure);
    }
  }

  /** Whether nothing was answered within the call of the service: a request may be rejected for its body. */
  #isUnanswered(http: HttpContext): boolean {
    return this.http === http && this.writer.isNew;
  }

  #respond(response: HttpResponse): void {
    const { body, writer } = this;
    this.#awaitsService = false;
    const isGivenUp = body && !body.isComplete && !body.isWanted;
    // The client may wait for a word before it sends the body, and now need not send it.
    const waits = body && this.#request?.expectsContinue && !this.#continued && body.received === 0;
    // Whatever comes behind a request for another protocol is no request.
    const isRefused = this.#protocol !== undefined;
    const closes =
      !this.#keepAlive || this.owner.isDraining || isGivenUp === true || waits === true || isRefused;
    try {
      this.#isResponding = true;
      if (response.status === 101 && this.#protocol !== undefined) this.#switch(this.#protocol, response);
      else writer.respond(response, closes);
      this.#isResponding = false;
    } catch (error) {
      this.#isResponding = false;
      if (!writer.isNew) throw error;
      // It may be no response at all.
      response?.body?.cancel();
      this.#failed(error);
    }
    this.owner.onChange();
  }

  #switch(protocol: string, response: HttpResponse): void {
    this.isSwitched = true;
    this.owner.onSwitch();
    this.writer.switchTo(protocol, response);
    this.#takeBody();
  }

  #failed(error: unknown): void {
    this.#report(error);
    this.#respond(HttpResponse.text(500, 'internal error\n'));
  }

  #report(error: unknown): void {
    const { onError } = this.parts.options;
    if (!onError || !this.http) throw error;
    onError(error, this.http);
  }

  #finish(status: number, cut: string | undefined): void {
    const { http, writer, body } = this;
    this.http = undefined;
    this.body = undefined;
    this.#request = undefined;
    this.#protocol = undefined;
    if (!http) return;
    const { startedAt, sent } = writer;
    const hasStarted = startedAt >= 0;
    const endedAt = hasStarted && this.#isResponding ? startedAt : performance.now();
    http.done({
      status,
      received: body?.received ?? 0,
      sent,
      firstByte: hasStarted ? startedAt - this.#startedAt : undefined,
      duration: endedAt - this.#startedAt,
      cut,
    });
  }
}
