import { isIPv4, isIPv6 } from 'node:net';
import { showAddress, usage } from 'mproxy-base';
import { KEYS, type KeyName, type Keys, setKey } from './keys.js';

/** `HOST:PORT[,KEY[=VALUE]...]`, read. */
export interface Address {
  /** As the user typed it, keys included. */
  text: string;
  /** An IPv4 address, an IPv6 address in its shortest form, or a name. */
  host: string;
  port: number;
  /** The interface a link-local IPv6 address is on: `[fe80::1%eth0]`. */
  zone?: string;
  keys: Keys;
  /** Those keys that stand in the address itself, not in a flag for all. */
  own: ReadonlySet<KeyName>;
}

/** What an address flag of a command takes. */
export interface AddressRule {
  flag: string;
  keys: readonly KeyName[];
  /** Whether port 0, the system's choice, makes sense. */
  listens: boolean;
  /** Datagrams, which pass as they are or are packets of `mold`; or a stream, which no packets are. Default: both. */
  carries?: 'datagrams' | 'stream';
}

/**
 * Reads one address.
 * @param defaults the keys given as flags; the address's own win
 * @throws MPROXY_USAGE, naming the flag and what is wrong in its value
 */
export function parseAddress(text: string, rule: AddressRule, defaults: Keys = {}): Address {
  const [place = '', ...pairs] = text.split(',');
  const own = parseKeys(pairs, text, rule);
  const { scheme, host, zone, port } = parsePlace(place, text, rule);
  if (scheme) setScheme(own, text, rule);
  if (own.bind !== undefined) parseBind(own.bind);
  if (!fits(own, rule))
    throw usage(rule.flag, text, `frame=${own.frame} means nothing here`, frameAdvice(rule));
  const usable = Object.entries(defaults).filter(
    ([key]) => rule.keys.includes(key as KeyName) && (key !== 'frame' || fits(defaults, rule)),
  );
  const address: Address = {
    text,
    host,
    port,
    keys: { ...Object.fromEntries(usable), ...own },
    own: new Set(Object.keys(own) as KeyName[]),
  };
  if (zone !== undefined) address.zone = zone;
  if (zone !== undefined && !isLinkLocal(host) && !isGroup(host))
    throw usage(
      rule.flag,
      text,
      `${host} is not link-local, and has no zone`,
      `write ${showAddress({ address: host, port })}`,
    );
  if (lacksZone(host, address))
    throw usage(rule.flag, text, zoneNeeded(host), `write [${host}%zone]:${port}`);
  return address;
}

/** Whether an address is link-local, and nothing says on which interface. Groups go where the routes say. */
export function lacksZone(ip: string, { zone, keys }: Pick<Address, 'zone' | 'keys'>): boolean {
  return isLinkLocal(ip) && !isGroup(ip) && zone === undefined && keys.interface === undefined;
}

export function zoneNeeded(ip: string): string {
  return `${ip} is link-local: its zone, the interface it is on, is missing`;
}

/** Whether the frame, if there is one, is one that the address can have. */
function fits({ frame }: Keys, { carries }: AddressRule): boolean {
  return frame === undefined || carries === undefined || (frame === 'mold') === (carries === 'datagrams');
}

function frameAdvice({ carries }: AddressRule): string {
  return carries === 'stream'
    ? 'mold is for UDP alone; use lines, line or raw'
    : 'datagrams pass as they are; leave it out, or use frame=mold';
}

/** An IP address in the one form in which equal addresses are equal texts; undefined if it is none, or has a zone. */
export function canonicalIp(host: string): string | undefined {
  if (isIPv4(host)) return host;
  if (!isIPv6(host) || host.includes('%')) return undefined;
  const short = new URL(`http://[${host}]`).hostname.slice(1, -1);
  // ::ffff:0:0/96 holds IPv4 addresses (RFC 4291, 2.5.5.2).
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(short);
  if (!mapped) return short;
  const words = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return words.flatMap((word) => [word >> 8, word & 0xff]).join('.');
}

/** 224.0.0.0/4 (RFC 5771) and ff00::/8 (RFC 4291, 2.7). */
export function isGroup(ip: string): boolean {
  if (isIPv4(ip)) return (Number(ip.split('.')[0]) & 0xf0) === 0xe0;
  return isIPv6(ip) && ip.toLowerCase().startsWith('ff') && ip.indexOf(':') === 4;
}

export function isWildcard(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::';
}

/** Link-local addresses and groups mean something on one interface alone (RFC 4007, section 4). */
export function isLinkLocal(ip: string): boolean {
  return isIPv6(ip) && /^(fe[89ab].|ff[0-9a-f][12]):/i.test(ip);
}

/** Reads `HOST` or `HOST:PORT`, the value of a `bind` key; without a port it is 0. */
export function parseBind(text: string): { host: string; zone?: string; port: number } {
  const bare = text.includes(':') && isIPv6(text.replace(/%.*/, '')) ? `[${text}]` : text;
  const { host, zone, port } = parsePlace(/\]$|^[^:]*$/.test(bare) ? `${bare}:0` : bare, text, {
    flag: 'bind',
    keys: [],
    listens: true,
  });
  if (lacksZone(host, { keys: {}, ...(zone !== undefined && { zone }) }))
    throw usage('bind', text, zoneNeeded(host), `write ${host}%zone`);
  return zone === undefined ? { host, port } : { host, zone, port };
}

function parseKeys(pairs: string[], text: string, rule: AddressRule): Keys {
  const keys: Keys = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = at < 0 ? pair : pair.slice(0, at);
    if (!Object.hasOwn(KEYS, name) || !rule.keys.includes(name as KeyName)) {
      const known = rule.keys.length > 0 ? `known here: ${rule.keys.join(', ')}` : 'it takes none';
      throw usage(rule.flag, text, `unknown key ${JSON.stringify(name)}`, known);
    }
    const value = at >= 0 ? pair.slice(at + 1) : KEYS[name as KeyName].value ? '' : 'yes';
    try {
      setKey(keys, name as KeyName, name, value);
    } catch (error) {
      throw usage(rule.flag, text, (error as Error).message);
    }
  }
  return keys;
}

function parsePlace(place: string, text: string, rule: AddressRule) {
  const wrong = (why: string, advice = 'write HOST:PORT or [IPv6]:PORT') =>
    usage(rule.flag, text, why, advice);
  const [, scheme, rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/s.exec(place) ?? [];
  if (scheme !== undefined && (scheme !== 'tls' || !rule.keys.includes('tls'))) {
    throw wrong(`${scheme}:// cannot be used here`);
  }
  const [, bracketed, zone, plain, digits] =
    /^(?:\[([^\]%]*)(?:%([^\]]*))?\]|([^[\]]*)):([^:]*)$/s.exec(rest) ?? [];
  if (digits === undefined) throw wrong(rest.includes(':') ? 'not an address' : 'no port');
  if (plain?.includes(':')) throw wrong('an IPv6 address stands in brackets');
  const host = bracketed === undefined ? parseHost(plain!, rule, wrong) : canonicalIp(bracketed);
  if (host === undefined || (bracketed !== undefined && !bracketed.includes(':')))
    throw wrong('not an IPv6 address');
  if (zone === '') throw wrong('no zone after %');
  return { scheme, host, zone, port: parsePort(digits, rule, wrong) };
}

function parseHost(host: string, rule: AddressRule, wrong: (why: string, advice?: string) => Error): string {
  if (isIPv4(host)) return host;
  if (host === '' || host === '*') {
    const all = 'for all addresses of this host write 0.0.0.0 (IPv4) or [::]';
    throw wrong(host === '' ? 'no host' : 'not a host name', rule.listens ? all : 'give the host to send to');
  }
  if (/^[\d.]+$/.test(host)) throw wrong('not an IPv4 address');
  // Host names (RFC 1123, 2.1), and the underscore that is common all the same.
  if (host.length > 253 || !/^[\w-]+(\.[\w-]+)*\.?$/.test(host)) throw wrong('not a host name');
  return host.toLowerCase();
}

function parsePort(
  digits: string,
  rule: AddressRule,
  wrong: (why: string, advice?: string) => Error,
): number {
  if (digits === '') throw wrong('no port');
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(port <= 65_535)) throw wrong(`port ${digits} is not a number from 0 to 65535`, '');
  if (port === 0 && !rule.listens) throw wrong('port 0 is no destination', 'give the port to send to');
  return port;
}

function setScheme(own: Keys, text: string, rule: AddressRule): void {
  if (own.tls === false) throw usage(rule.flag, text, 'tls:// and tls=no contradict each other');
  own.tls = true;
}
