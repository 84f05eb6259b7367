import type { MproxyError } from 'mproxy-base';
import { Allowed } from 'mproxy-net/allowed';
import { parseNetwork } from 'mproxy-net/networks';
import { list, text } from '../config-keys.js';
import { answer } from '../http/answer.js';
import type { HttpContext, HttpLayer, HttpRequest, HttpResponse, HttpService } from '../http/message.js';
import { Wrapper } from '../http/wrapper.js';
import type { Result } from '../result.js';
import { layerType } from './layer-type.js';

/** In a list of networks: clients of Unix sockets. */
const UNIX = 'unix:';
/** Clients whose verdict is remembered: it costs a microsecond. */
const REMEMBERED = 1024;

const EXPECTED = 'a network like 192.168.0.0/16 or fd00::/8, or unix:';

const KEYS = {
  allow: list(
    text({ help: '', required: true, expected: EXPECTED }, networkProblem),
    {
      required: true,
      expected: `a list of networks, each ${EXPECTED}`,
      help: 'networks of the clients that are let through; `unix:`: clients of Unix sockets',
    },
    1,
  ),
};

export const IP_ALLOW = layerType({
  type: 'ip_allow',
  help: 'Answers 403 to clients outside some networks. Behind trusted proxies, the client is whom they say.',
  keys: KEYS,
  layer: ({ allow }) => ipAllow(allow),
});

function networkProblem(given: string): string | undefined {
  if (given === UNIX) return undefined;
  try {
    parseNetwork('', given);
    return undefined;
  } catch (error) {
    if ((error as MproxyError).code !== 'MPROXY_USAGE') throw error;
    return '';
  }
}

/**
 * Answers 403 to clients outside some networks.
 * @param allow `192.168.0.0/16`, `fd00::/8`, `127.0.0.1`, `unix:`
 * @throws MPROXY_USAGE one that is no network
 */
export function ipAllow(allow: readonly string[]): HttpLayer {
  const networks = allow.filter((one) => one !== UNIX).map((one) => parseNetwork('ip_allow', one));
  const allowed = networks.length > 0 ? new Allowed(networks) : undefined;
  return (inner) => new IpAllow(inner, allowed, allow.includes(UNIX));
}

class IpAllow extends Wrapper {
  readonly #verdicts = new Map<string, boolean>();

  constructor(
    inner: HttpService,
    private readonly allowed: Allowed | undefined,
    private readonly unix: boolean,
  ) {
    super(inner);
  }

  override call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    const { client } = context;
    const isAllowed = client === undefined ? this.unix : this.#verdict(client);
    return isAllowed ? this.inner.call(request, context) : answer(request, 403, 'address not allowed');
  }

  #verdict(client: string): boolean {
    const known = this.#verdicts.get(client);
    if (known !== undefined) return known;
    const verdict = this.allowed?.hasAddress(client) ?? false;
    if (this.#verdicts.size >= REMEMBERED) this.#verdicts.clear();
    this.#verdicts.set(client, verdict);
    return verdict;
  }
}
