import { MproxyError, throwInternal } from 'mproxy-base';
import { type Address, parseAddress, withoutSecrets } from 'mproxy-net/address';
import { networks } from 'mproxy-net/networks';
import { type Place, showValue, wrong } from 'mproxy-service/config-place';
import type { ListenAddress, ListenConfig } from './types.js';

export const LISTEN_ADDRESS = 'HOST:PORT, tls://HOST:PORT, unix:PATH, fd:NAME or fd:NUMBER';
export const UPSTREAM = 'http://HOST[:PORT], https://HOST[:PORT] or unix:PATH';
export const NETWORK = 'a network like 10.0.0.0/8 or fd00::/8, or unix:';
export const LOG_TARGET = '-, a file, or udp://HOST:PORT';

/** The keys that the address of an access log may have. */
const LOG_KEYS = ['interface', 'ttl', 'loop', 'bind', 'sndbuf'] as const;
/** Bytes of a path, less the NUL at its end (unix(7), sun_path). */
const UNIX_MAX = 107;

export function readListenAddress(
  text: string,
  place: Place,
): Pick<ListenConfig, 'text' | 'at' | 'tls'> | undefined {
  const [, bare] = /^tls:\/\/(.*)$/is.exec(text) ?? [];
  const at = listenAddress(bare ?? text, place);
  if (!at) return undefined;
  return { text: at.kind === 'unix' ? `unix:${at.path}` : (bare ?? text), at, tls: bare !== undefined };
}

function listenAddress(text: string, place: Place): ListenAddress | undefined {
  const [, word, rest = ''] = /^(unix|fd|https|http):(?:\/\/(?!\/))?(.*)$/s.exec(text) ?? [];
  if (word === 'http' || word === 'https')
    return wrong(place, text, LISTEN_ADDRESS, 'not the address of a listener');
  if (word === 'unix') return unixPath(rest, text, place);
  if (word === 'fd') {
    if (/^\d+$/.test(rest) ? Number(rest) >= 3 : /^[\x21-\x39\x3b-\x7e]+$/.test(rest))
      return { kind: 'fd', fd: /^\d+$/.test(rest) ? Number(rest) : rest };
    return wrong(place, text, LISTEN_ADDRESS, 'no descriptor from 3 on, and no name of one');
  }
  return tcpAddress(text, place);
}

function tcpAddress(text: string, place: Place): ListenAddress | undefined {
  const address = socketAddress(text, place, { listens: true });
  if (!address) return undefined;
  const { host, zone, port } = address;
  return { kind: 'tcp', host: zone === undefined ? host : `${host}%${zone}`, port };
}

/** The default ports of URLs of upstreams. */
const PORTS: Record<string, string> = { http: '80', https: '443' };

/** `http://HOST:PORT` or `https://HOST:PORT`, the port always given, or `unix:` and an absolute path. */
export function readUpstream(text: string, place: Place): string | undefined {
  const [, given = '', rest = ''] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(text) ?? [];
  const scheme = given.toLowerCase();
  const not = (why?: string) => wrong(place, withoutSecrets(text), UPSTREAM, why);
  if (scheme === 'unix') {
    const at = unixPath(rest.replace(/^\/\/(?=\/)/, ''), text, place);
    return at && `unix:${at.path}`;
  }
  if (['h2', 'h2c'].includes(scheme)) return not(`this version has no ${scheme}:// yet`);
  const url = Object.hasOwn(PORTS, scheme) && URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !rest.startsWith('//')) return not();
  if (url.username || url.password) return not('an upstream takes no password here');
  if (url.pathname !== '/' || url.search || url.hash)
    return not('an upstream has no path: use strip_prefix, replace_path, add_prefix');
  if (url.port === '0') return not('port 0 is no destination');
  return `${scheme}://${url.hostname}:${url.port || PORTS[scheme]}`;
}

/** A network in CIDR notation, or `unix:`. */
export function readNetwork(text: string, place: Place): string | undefined {
  if (text === 'unix:') return text;
  try {
    networks('').read(text, '', {});
    return text;
  } catch (error) {
    if (!isUsage(error)) throw error;
    return wrong(place, text, NETWORK);
  }
}

/** `-`, an absolute path, or `udp://HOST:PORT[,KEY=VALUE...]`. */
export function readLogTarget(text: string, place: Place): string | undefined {
  if (text === '-') return text;
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return place.file(text);
  return socketAddress(text, place, { listens: false, schemes: ['udp'], keys: LOG_KEYS }) && text;
}

interface Rule {
  listens: boolean;
  schemes?: readonly string[];
  keys?: typeof LOG_KEYS;
}

function socketAddress(
  text: string,
  place: Place,
  { keys = [] as never, ...rule }: Rule,
): Address | undefined {
  try {
    return parseAddress(text, { ...rule, flag: '', keys });
  } catch (error) {
    if (!isUsage(error)) throw error;
    // `: TEXT: why; advice`, as there is no flag.
    const shown = withoutSecrets(text);
    place.report(`${showValue(shown)}: ${error.message.slice(`: ${shown}: `.length)}`);
    return undefined;
  }
}

function unixPath(path: string, text: string, place: Place): { kind: 'unix'; path: string } | undefined {
  if (path === '') return wrong(place, text, 'unix:PATH', 'the path is missing');
  const file = place.file(path);
  if (Buffer.byteLength(file) <= UNIX_MAX) return { kind: 'unix', path: file };
  return wrong(place, text, 'unix:PATH', `longer than ${UNIX_MAX} bytes, the limit of a Unix socket`);
}

function isUsage(error: unknown): error is MproxyError {
  throwInternal(error);
  return error instanceof MproxyError && error.code === 'MPROXY_USAGE';
}
