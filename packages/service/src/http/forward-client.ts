import { type Fields, parseForwarded } from 'mproxy-http';
import { Allowed, canonicalIp, parseNetwork } from 'mproxy-net';

/** In a list of networks: peers of Unix sockets. */
const UNIX = 'unix:';

/** The peers whose word on their clients is taken. */
export class TrustedProxies {
  readonly isEmpty: boolean;
  readonly #unix: boolean;
  readonly #networks: Allowed | undefined;

  /** @throws MPROXY_USAGE if one is no network */
  constructor(trusted: readonly string[]) {
    const networks = trusted.filter((one) => one !== UNIX).map((one) => parseNetwork('trusted_proxies', one));
    this.isEmpty = trusted.length === 0;
    this.#unix = trusted.includes(UNIX);
    this.#networks = networks.length > 0 ? new Allowed(networks) : undefined;
  }

  /** @param address undefined: a Unix socket */
  has(address: string | undefined): boolean {
    if (address === undefined) return this.#unix;
    const ip = canonicalIp(address.replace(/%.*/, ''));
    return ip !== undefined && (this.#networks?.hasAddress(ip) ?? false);
  }
}

/** An address, with a port or not, or a name (RFC 7239, section 6). A quoted value can have anything: commas, spaces at its ends. */
const NODE = /^[\w.:[\]-]+$/;

/** The chain of addresses that X-Forwarded-For, or else Forwarded, has: the client first. */
export function forwardedFor(fields: Fields): string[] {
  const list = fields.get('x-forwarded-for');
  if (list !== undefined)
    return list
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '');
  const elements = parseForwarded(fields.get('forwarded') ?? '') ?? [];
  return elements.map((one) => (one.for !== undefined && NODE.test(one.for) ? one.for : 'unknown'));
}

/**
 * The client: the last address of the chain that no trusted proxy has. What stands before something that is no address is not believed.
 * @param peer a trusted proxy
 */
export function clientOf(
  chain: readonly string[],
  peer: string | undefined,
  trusted: TrustedProxies,
): string | undefined {
  let client = peer;
  for (const node of chain.toReversed()) {
    const ip = ipOf(node);
    if (ip === undefined) return client;
    client = ip;
    if (!trusted.has(ip)) return client;
  }
  return client;
}

/** The address of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`. */
function ipOf(node: string): string | undefined {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(node)?.[1];
  const withPort = /^([\d.]+):\d+$/.exec(node)?.[1];
  return canonicalIp(bracketed ?? withPort ?? node);
}
