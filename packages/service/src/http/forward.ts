import type { Fields } from 'mproxy-http';
import { parseAuthority } from 'mproxy-http/authority';
import { formatForwarded } from 'mproxy-http/forwarded';
import { FORWARDING } from 'mproxy-http/known-names';
import { viaElement } from 'mproxy-http/via';
import { type Context, ExtensionKey } from '../context.js';
import type { Result } from '../result.js';
import { ORIGIN } from './forward-back.js';
import { clientOf, forwardedFor, TrustedProxies } from './forward-client.js';
import type { HttpContext, HttpLayer, HttpRequest, HttpResponse, HttpService } from './message.js';

export interface ForwardOptions {
  /** Networks of the proxies whose forwarding fields are believed (`10.0.0.0/8`); `unix:`: peers of Unix sockets. Default: none. */
  trusted?: readonly string[];
  /** Further fields that layers set, removed from untrusted requests. Default: none. */
  owned?: readonly string[];
}

/** Field lines that all requests of a connection share. */
interface Lines {
  readonly request: Pick<HttpRequest, 'authority' | 'version' | 'scheme'>;
  readonly bytes: Buffer;
}

const LINES = new ExtensionKey<Lines>('forwarding lines');
const TRUSTED = new ExtensionKey<boolean>('trusted proxy');

/**
 * Tells upstreams of the client: X-Forwarded-For, -Proto, -Host, X-Real-IP and Via (RFC 9110, section 7.6.3). What a client says of itself
 * in these fields, Forwarded and X-Forwarded-* is removed, also where `-` is spelt `_`. Those of trusted proxies are read, so that
 * {@link HttpContext.client} is the last address that no trusted proxy has, and extended.
 * @throws MPROXY_USAGE if a network is none
 */
export function forward(options: ForwardOptions = {}): HttpLayer {
  const trusted = new TrustedProxies(options.trusted ?? []);
  return (inner) => new Forward(inner, trusted, options.owned ?? []);
}

class Forward implements HttpService {
  constructor(
    private readonly inner: HttpService,
    private readonly trusted: TrustedProxies,
    private readonly owned: readonly string[],
  ) {}

  get ready(): boolean {
    return this.inner.ready ?? true;
  }

  call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    const { fields } = request;
    const { connection } = context;
    if (!this.trusted.isEmpty && this.#trusts(connection)) this.#extend(request, context);
    else {
      fields.deleteKnown(FORWARDING);
      for (const name of this.owned) fields.deleteSpellings(name);
      fields.appendLines(linesFor(request, connection));
    }
    return this.inner.call(request, context);
  }

  #trusts(connection: Context): boolean {
    let trusts = connection.get(TRUSTED);
    if (trusts === undefined) {
      trusts = this.trusted.has(connection.peer?.address);
      connection.set(TRUSTED, trusts);
    }
    return trusts;
  }

  /** Of a trusted proxy. */
  #extend(request: HttpRequest, context: HttpContext): void {
    const { fields, version } = request;
    const chain = forwardedFor(fields);
    const peer = addressOf(context.connection);
    context.client = clientOf(chain, peer, this.trusted);
    const origin = originOf(request);
    context.set(ORIGIN, origin);
    removeMisspelt(fields);
    if (peer !== undefined) chain.push(peer);
    setOrDelete(fields, 'x-forwarded-for', chain.join(', '));
    fields.set('x-forwarded-proto', origin.scheme);
    setOrDelete(fields, 'x-forwarded-host', origin.authority);
    setOrDelete(fields, 'x-real-ip', context.client ?? '');
    fields.append('via', viaElement(version));
  }
}

/** Adds Forwarded (RFC 7239) behind what {@link forward} has left of it. */
export function forwarded(): HttpLayer {
  return (inner) => ({
    call(request, context) {
      const { fields } = request;
      const address = addressOf(context.connection);
      const node = address === undefined ? 'unknown' : address.includes(':') ? `[${address}]` : address;
      const element = formatForwarded({
        for: node,
        ...(request.authority !== '' && { host: request.authority }),
        proto: request.scheme,
      });
      const before = fields.get('forwarded');
      fields.set('forwarded', before === undefined ? element : `${before}, ${element}`);
      return inner.call(request, context);
    },
  });
}

function linesFor(request: HttpRequest, connection: Context): Buffer {
  const known = connection.get(LINES);
  if (
    known &&
    known.request.authority === request.authority &&
    known.request.version === request.version &&
    known.request.scheme === request.scheme
  )
    return known.bytes;
  const { authority, version, scheme } = request;
  const address = addressOf(connection);
  const lines = [
    ...(address === undefined ? [] : [`X-Forwarded-For: ${address}`]),
    `X-Forwarded-Proto: ${scheme}`,
    ...(authority === '' ? [] : [`X-Forwarded-Host: ${authority}`]),
    ...(address === undefined ? [] : [`X-Real-IP: ${address}`]),
    `Via: ${viaElement(version)}`,
  ];
  const bytes = Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1');
  connection.set(LINES, { request: { authority, version, scheme }, bytes });
  return bytes;
}

/** The peer's address, without a zone; undefined: a Unix socket. */
function addressOf({ peer }: Context): string | undefined {
  return peer?.address.replace(/%.*/, '');
}

/** How the client addresses the origin, by what a trusted proxy says. */
function originOf({ fields, scheme, authority }: HttpRequest): {
  scheme: 'http' | 'https';
  authority: string;
} {
  const proto = fields.get('x-forwarded-proto')?.toLowerCase();
  const host = fields.get('x-forwarded-host');
  return {
    scheme: proto === 'http' || proto === 'https' ? proto : scheme,
    authority: host !== undefined && parseAuthority(host) ? host : authority,
  };
}

function setOrDelete(fields: Fields, name: string, value: string): void {
  if (value === '') fields.delete(name);
  else fields.set(name, value);
}

const IS_FORWARDING = /^(?:x-forwarded-.*|x-real-ip|forwarded)$/;

/** Trusted proxies spell their own fields with `-`: others come from their clients. */
function removeMisspelt(fields: Fields): void {
  const names = [...fields].map(([name]) => name);
  for (const name of names)
    if (name.includes('_') && IS_FORWARDING.test(name.replaceAll('_', '-'))) fields.delete(name);
}
