import type { Result } from '../result.js';
import { RetryBudget } from './client-budget.js';
import { Exchange, type ExchangeClient } from './client-exchange.js';
import { type ClientSettings, clientSettings, type HttpClientOptions } from './client-options.js';
import { Upstream } from './client-upstream.js';
import type { HttpContext, HttpRequest, HttpResponse, HttpService } from './message.js';

/**
 * A service that passes requests on to upstreams, by HTTP/1.1 over kept connections. Its responses are those of the upstreams; or 502,
 * 503, 504 (411: see {@link Upstream.isOld}) with one line of text that says why there is none. It is rejected only if nobody waits for the
 * response any more, or the request's body broke off.
 *
 * A request is sent again if no byte of a response has arrived, and it is idempotent or nothing of it was sent, and its body is still
 * there: once if a kept connection turned out to be closed, else {@link HttpClientOptions.retries} times.
 *
 * @throws a RangeError if an upstream is no URL of one
 */
export function httpClient(options: HttpClientOptions): HttpClient {
  return new HttpClient(clientSettings(options));
}

export class HttpClient implements HttpService, ExchangeClient {
  readonly upstreams: readonly Upstream[];
  readonly budget = new RetryBudget();
  /** Whose turn it was. */
  #last = -1;

  constructor(readonly settings: ClientSettings) {
    if (settings.upstreams.length === 0) throw new RangeError('no upstreams');
    this.upstreams = settings.upstreams.map((url, index) => new Upstream(url, index, settings));
  }

  get ready(): boolean {
    return this.upstreams.some(({ pool }) => pool.ready);
  }

  call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    this.budget.request();
    const exchange = new Exchange(this, request, context);
    exchange.begin();
    return exchange;
  }

  pick(except: Upstream | undefined): Upstream {
    const { upstreams } = this;
    if (upstreams.length === 1) return upstreams[0]!;
    for (let i = 0; i < upstreams.length; i++) {
      const one = this.#takeTurn();
      if (one !== except && !one.health.isOut && one.pool.ready) return one;
    }
    // If all are ejected, all are used.
    const next = this.#takeTurn();
    return next === except ? this.#takeTurn() : next;
  }

  /** Closes idle connections now, and others when their response has ended. */
  close(): void {
    for (const one of this.upstreams) one.close();
  }

  #takeTurn(): Upstream {
    this.#last = (this.#last + 1) % this.upstreams.length;
    return this.upstreams[this.#last]!;
  }
}
