import { isIP } from 'node:net';
import { answer } from 'mproxy-service/http/answer';
import type { HttpClient } from 'mproxy-service/http/client';
import {
  type HttpContext,
  type HttpRequest,
  HttpResponse,
  type HttpService,
} from 'mproxy-service/http/message';
import { mapResult, type Result } from 'mproxy-service/result';
import type { LookUp } from 'mproxy-service/tcp-connector';
import type { PortEncodingConfig } from './config/types.js';
import { PORT_ENCODING } from './counters/layout.js';
import { isLoopback, portTarget } from './port-encoding.js';

/** Targets whose connections are kept; that which was used longest ago is given up for another one. */
const MAX_TARGETS = 256;
const FORBIDDEN = 'the target is not on a loopback address: it needs --allow-target';

export interface PortRouterOptions {
  hosts: PortEncodingConfig;
  /** Resolves names. */
  lookUp: LookUp;
  /** Makes the client of `http://HOST:PORT`. It connects to nothing but what `lookUp` gives, or the host if that is an address. */
  client(upstream: string, lookUp: LookUp): HttpClient;
  /** Default: 256. */
  maxTargets?: number;
}

/** Passes requests on to the host and port that their host names (see {@link portTarget}); else 403, 404 or 421. */
export function portRouter(options: PortRouterOptions): HttpService {
  return new PortRouter(options);
}

class PortRouter implements HttpService {
  /** By `HOST:PORT`, the one that was used last at the end. */
  readonly #targets = new Map<string, Target>();

  constructor(private readonly options: PortRouterOptions) {}

  call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    context.route = PORT_ENCODING;
    const found = portTarget(request.host, this.options.hosts);
    if ('status' in found) return answer(request, found.status, found.reason);
    const { host, port, isAllowed } = found;
    const target = this.#target(`${host}:${port}`, isAllowed);
    return target ? target.call(request, context) : answer(request, 403, FORBIDDEN);
  }

  /** @returns undefined: its address is none that may be connected to */
  #target(authority: string, isAllowed: boolean): Target | undefined {
    const known = this.#targets.get(authority);
    if (known) {
      this.#targets.delete(authority);
      this.#targets.set(authority, known);
      return known;
    }
    // An address can be written in many ways: 127.1 and 0x7f000001 are 127.0.0.1 (URL Standard, 3.5).
    const url = `http://${authority}`;
    const ip = URL.canParse(url) ? new URL(url).hostname : '0.0.0.0';
    if (!isAllowed && isIP(ip) !== 0 && !isLoopback(ip)) return undefined;
    const target = new Target(url, isAllowed, this.options);
    this.#targets.set(authority, target);
    if (this.#targets.size > (this.options.maxTargets ?? MAX_TARGETS)) this.#giveUpOldest();
    return target;
  }

  #giveUpOldest(): void {
    const [authority, target] = this.#targets.entries().next().value!;
    this.#targets.delete(authority);
    target.client.close();
  }
}

class Target {
  readonly client: HttpClient;
  /** Whether its name has no address that may be connected to. */
  #isForbidden = false;

  constructor(
    url: string,
    isAllowed: boolean,
    private readonly options: Pick<PortRouterOptions, 'client' | 'lookUp'>,
  ) {
    this.client = options.client(url, isAllowed ? options.lookUp : this.#lookUp);
  }

  call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    return mapResult(this.client.call(request, context), this.#orForbidden);
  }

  /** The loopback addresses of a name: others are not connected to. */
  readonly #lookUp: LookUp = async (host, signal) => {
    const all = await this.options.lookUp(host, signal);
    const addresses = all.filter(isLoopback);
    this.#isForbidden = addresses.length === 0;
    if (this.#isForbidden) throw new Error(FORBIDDEN);
    return addresses;
  };

  readonly #orForbidden = (response: HttpResponse): HttpResponse => {
    if (response.status !== 502 || !this.#isForbidden) return response;
    response.body?.cancel();
    return HttpResponse.text(403, `${FORBIDDEN}\n`);
  };
}
