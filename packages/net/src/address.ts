import { isIPv4, isIPv6 } from 'node:net';
import { showAddress, usage } from 'mproxy-base';
import { type AddressKeys, type KeyRule, type Keys, parseKeys, withDefaults } from './keys.js';

/** A parsed address, `HOST:PORT[,KEY[=VALUE]...]`. */
export interface Address extends AddressKeys {
  /** As the user typed it, keys included. */
  text: string;
  /** An IPv4 address, an IPv6 address in its shortest form, or a host name. */
  host: string;
  port: number;
  /** The zone of a link-local IPv6 address, as in `[fe80::1%eth0]`. */
  zone?: string;
}

/** What an address flag accepts. */
export interface AddressRule extends KeyRule {
  /** Accepted schemes; an address needs none. Default: none is accepted. */
  schemes?: readonly string[];
  /** Whether port 0 is accepted: the system picks a port. */
  listens: boolean;
}

/**
 * Parses one address.
 * @param defaults keys given as flags; those in the address take precedence
 * @throws MPROXY_USAGE, with the flag and the reason
 */
export function parseAddress(text: string, rule: AddressRule, defaults: Keys = {}): Address {
  const shown = withoutSecrets(text);
  const [hostPort = '', ...pairs] = text.split(',');
  const own = parseKeys(pairs, shown, rule);
  const { scheme, host, zone, port } = parseParts(hostPort, shown, rule);
  setScheme(own, scheme, shown, rule);
  if (own.bind !== undefined) parseBind(own.bind);
  const address: Address = { text, host, port, ...withDefaults(own, shown, rule, defaults) };
  if (zone !== undefined) address.zone = zone;
  if (zone !== undefined && !isLinkLocal(host) && !isGroup(host))
    throw usage(
      rule.flag,
      shown,
      `${host} is not link-local, and has no zone`,
      `write ${showAddress({ address: host, port })}`,
    );
  if (lacksZone(host, address))
    throw usage(rule.flag, shown, zoneNeeded(host), `write [${host}%zone]:${port}`);
  return address;
}

/** Whether a unicast address is link-local without zone or `interface`. Groups follow the routing table. */
export function lacksZone(ip: string, { zone, keys }: Pick<Address, 'zone' | 'keys'>): boolean {
  return isLinkLocal(ip) && !isGroup(ip) && zone === undefined && keys.interface === undefined;
}

export function zoneNeeded(ip: string): string {
  return `${ip} is link-local: its zone, the interface it is on, is missing`;
}

/** The canonical text of an IP address; undefined if it is not an IP address, or has a zone. */
export function canonicalIp(host: string): string | undefined {
  if (isIPv4(host)) return host;
  if (!isIp6(host) || host.includes('%')) return undefined;
  const short = new URL(`http://[${host}]`).hostname.slice(1, -1);
  // ::ffff:0:0/96 are IPv4-mapped addresses (RFC 4291, 2.5.5.2).
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(short);
  if (!mapped) return short;
  const words = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return words.flatMap((word) => [word >> 8, word & 0xff]).join('.');
}

/** 224.0.0.0/4 (RFC 5771) and ff00::/8 (RFC 4291, 2.7). */
export function isGroup(ip: string): boolean {
  if (isIPv4(ip)) return (Number(ip.split('.')[0]) & 0xf0) === 0xe0;
  return isIp6(ip) && ip.toLowerCase().startsWith('ff') && ip.indexOf(':') === 4;
}

export function isWildcard(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::';
}

/** Whether an address or group is valid on one interface only (RFC 4007, section 4). */
export function isLinkLocal(ip: string): boolean {
  return isIp6(ip) && /^(fe[89ab].|ff[0-9a-f][12]):/i.test(ip);
}

/** Parses `HOST` or `HOST:PORT`, the value of a `bind` key. The default port is 0. */
export function parseBind(text: string): { host: string; zone?: string; port: number } {
  const bare = isIp6(text.replace(/%.*/, '')) ? `[${text}]` : text;
  const { host, zone, port } = parseParts(/\]$|^[^:]*$/.test(bare) ? `${bare}:0` : bare, text, {
    flag: 'bind',
    keys: [],
    listens: true,
  });
  if (lacksZone(host, { keys: {}, ...(zone !== undefined && { zone }) }))
    throw usage('bind', text, zoneNeeded(host), `write ${host}%zone`);
  return zone === undefined ? { host, port } : { host, zone, port };
}

function parseParts(hostPort: string, text: string, rule: AddressRule) {
  const error = (why: string, advice = 'write HOST:PORT or [IPv6]:PORT') =>
    usage(rule.flag, text, why, advice);
  const { scheme, rest } = splitScheme(hostPort);
  if (scheme !== undefined && !rule.schemes?.includes(scheme))
    throw error(`${scheme}:// cannot be used here`);
  const [, word = ''] = /^([a-z][a-z0-9+.-]*):(?!\d+$)/i.exec(rest) ?? [];
  if (scheme === undefined && rule.schemes?.includes(word.toLowerCase()))
    throw error(`no // after ${word}:`, `write ${word.toLowerCase()}://...`);
  if (/^\d+$/.test(rest)) throw error('a port without a host');
  const [, bracketed, zone, plain, digits] =
    /^(?:\[([^\]%]*)(?:%([^\]]*))?\]|([^[\]]*)):([^:]*)$/s.exec(rest) ?? [];
  if (digits === undefined) throw error(rest.includes(':') ? 'not an address' : 'no port');
  if (plain?.includes(':')) throw error('an IPv6 address stands in brackets');
  const host = bracketed === undefined ? parseHost(plain!, rule, error) : canonicalIp(bracketed);
  if (host === undefined || (bracketed !== undefined && !bracketed.includes(':')))
    throw error('not an IPv6 address');
  if (zone === '') throw error('no zone after %');
  return { scheme, host, zone, port: parsePort(digits, rule, error) };
}

/** Splits `SCHEME://REST`; schemes are case-insensitive (RFC 3986, section 3.1). */
export function splitScheme(text: string): { scheme?: string; rest: string } {
  const [, scheme, rest = ''] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/is.exec(text) ?? [];
  return scheme === undefined ? { rest } : { scheme: scheme.toLowerCase(), rest };
}

/**
 * An address for messages, whatever its scheme: user info, as in `SCHEME://USER:PASSWORD@HOST`, without password or token
 * (RFC 3986, section 3.2.1).
 */
export function withoutSecrets(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?([^:@/]*:)?.*@/is, '$1$2***@');
}

function parseHost(host: string, rule: AddressRule, error: (why: string, advice?: string) => Error): string {
  if (isIPv4(host)) return host;
  if (host === '' || host === '*') {
    const all = 'for all addresses of this host write 0.0.0.0 (IPv4) or [::]';
    throw error(host === '' ? 'no host' : 'not a host name', rule.listens ? all : 'give the host to send to');
  }
  if (/^[\d.]+$/.test(host)) throw error('not an IPv4 address');
  // Host names (RFC 1123, 2.1), plus the underscore, which is in common use.
  if (host.length > 253 || !/^[\w-]+(\.[\w-]+)*\.?$/.test(host)) throw error('not a host name');
  return host.toLowerCase();
}

function parsePort(
  digits: string,
  rule: AddressRule,
  error: (why: string, advice?: string) => Error,
): number {
  if (digits === '') throw error('no port');
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(port <= 65_535)) throw error(`port ${digits} is not a number from 0 to 65535`, '');
  if (port === 0 && !rule.listens) throw error('port 0 is no destination', 'give the port to send to');
  return port;
}

/** `tls://` and the key `tls` are the same. */
function setScheme(own: Keys, scheme: string | undefined, text: string, rule: AddressRule): void {
  if (scheme !== 'tls' && scheme !== 'tcp') return;
  const tls = scheme === 'tls';
  if (own.tls === !tls)
    throw usage(rule.flag, text, `${scheme}:// and tls=${tls ? 'no' : 'yes'} contradict each other`);
  own.tls = tls;
}

/** As isIPv6 of Node, whose first call in a thread takes 10 ms to compile: most programs need it never. */
function isIp6(text: string): boolean {
  return text.includes(':') && isIPv6(text);
}
