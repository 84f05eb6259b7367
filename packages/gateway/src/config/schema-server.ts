import {
  choice,
  duration,
  integer,
  later,
  list,
  object,
  parsed,
  path,
  size,
  text,
  toggle,
} from 'mproxy-service/config-keys';
import { type Place, wrong } from 'mproxy-service/config-place';
import { isObject, type Key, readTable, schemaOf, type ValuesOf } from 'mproxy-service/config-table';
import {
  LISTEN_ADDRESS,
  LOG_TARGET,
  NETWORK,
  readListenAddress,
  readLogTarget,
  readNetwork,
} from './addresses.js';
import { PROTOCOL, readProtocol, readSuffix } from './patterns.js';
import { CLIENT_TIMEOUTS, UPSTREAM_TIMEOUTS } from './schema-timeouts.js';
import { checkTlsKeys, SECURITY, TLS } from './schema-tls.js';
import type { ListenConfig, PortEncodingConfig } from './types.js';

/** The largest number that a counter of the kernel and of JavaScript holds. */
const MANY = 2 ** 31 - 1;

const LISTENER = {
  address: parsed(
    { help: 'where to listen', required: true, expected: LISTEN_ADDRESS },
    readListenAddress,
    ({ text }) => text,
  ),
  tls: toggle({ default: false, help: 'TLS, as with tls:// before the address' }),
  proxyProtocol: toggle({
    default: false,
    help: 'every connection begins with a PROXY header, version 1 or 2; only from trusted_proxies',
  }),
};

/** A listener: its address alone, or an object. */
export const listener: Key<ListenConfig> = {
  name: '',
  expected: `${LISTEN_ADDRESS}, or an object`,
  help: 'a listener',
  schema: { anyOf: [{ type: 'string' }, schemaOf(LISTENER)] },
  keys: LISTENER,
  read(given: unknown, place: Place) {
    const { address, tls, proxyProtocol } = isObject(given)
      ? (readTable(LISTENER, given, place) ?? {})
      : { address: LISTENER.address.read(given, place), tls: false, proxyProtocol: false };
    if (!address) return undefined;
    return {
      ...{ place: place.name, ...address },
      ...{ tls: address.tls || tls === true, proxyProtocol: proxyProtocol === true },
    };
  },
  show({ text, at, tls, proxyProtocol }) {
    const address = tls && at.kind === 'tcp' ? `tls://${text}` : text;
    const others = {
      ...(tls && at.kind !== 'tcp' && { tls }),
      ...(proxyProtocol && { proxy_protocol: true }),
    };
    return Object.keys(others).length > 0 ? { address, ...others } : address;
  },
};

export const LIMITS = {
  requestLine: size({ default: '8KiB', help: 'a longer request line: 414' }, 64),
  headerSection: size({ default: '32KiB', help: 'a larger header section: 431' }, 64),
  headerFields: integer(1, 10_000, { default: 100, help: 'more fields: 431' }),
  maxBody: size({ help: 'a larger request body: 413; default no limit' }),
  chunkOverhead: size({ default: '16KiB', help: 'more chunk extensions and trailers of a message: 400' }),
};

export const ACCESS_LOG = {
  to: parsed(
    { required: true, expected: LOG_TARGET, help: 'stdout, a file, or datagrams to an address or group' },
    readLogTarget,
  ),
  format: choice(['json', 'combined'], { default: 'json', help: 'the form of a record' }),
  redactQuery: toggle({ default: false, help: 'leave queries out' }),
  rotateSize: size({ help: 'rotate the file before a record would make it larger' }, 64 * 1024),
  rotateEvery: duration({ help: 'rotate the file by the clock: 1h is on the hour, 24h at midnight' }, 1000),
  keep: integer(1, MANY, { help: 'keep this many rotated files; default all' }),
  gzip: toggle({ default: false, help: 'compress rotated files' }),
};

export function checkAccessLog(log: ValuesOf<typeof ACCESS_LOG>, place: Place): void {
  const rotates = log.rotateSize !== undefined || log.rotateEvery !== undefined;
  const isFile = log.to !== '-' && !log.to.startsWith('udp://');
  if (rotates && !isFile) place.report('only a file is rotated; set to to a file');
  if (!rotates && (log.keep !== undefined || log.gzip))
    place.report('nothing is rotated; give rotate_size or rotate_every');
}

type AllowedTarget = PortEncodingConfig['allowTargets'][number];

export const PORT_ENCODING = {
  suffixes: list(
    parsed({ help: 'a suffix', expected: 'a domain like localhost' }, readSuffix),
    { default: ['localhost'], help: 'what follows the port in the host' },
    1,
  ),
  allowTargets: list(
    parsed(
      { help: 'a target', expected: 'HOST, HOST:PORT or HOST:FROM-TO' },
      readAllowedTarget,
      ({ host, ports }) =>
        ports ? `${host}:${ports.from}${ports.from === ports.to ? '' : `-${ports.to}`}` : host,
    ),
    { default: [], help: 'targets beyond loopback addresses and ports from 1024 on' },
  ),
};

function readAllowedTarget(given: string, place: Place): AllowedTarget | undefined {
  const expected = 'HOST, HOST:PORT or HOST:FROM-TO';
  const [, bracketed, plain, from, to = from] =
    /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d{1,5})(?:-(\d{1,5}))?)?$/i.exec(given) ?? [];
  const host = (bracketed ?? plain)?.toLowerCase();
  if (host === undefined) return wrong(place, given, expected);
  if (from === undefined) return { host, ports: undefined };
  const ports = { from: Number(from), to: Number(to) };
  const fits = ports.from >= 1 && ports.from <= ports.to && ports.to <= 65_535;
  return fits ? { host, ports } : wrong(place, given, expected, 'ports are 1 to 65535');
}

/** All that is not about routes. */
export const SERVER = {
  host: text({
    expected: 'an IP address or a host name',
    help: 'where to listen, with port; default 0.0.0.0',
  }),
  port: integer(0, 65_535, { help: 'the port to listen on; 0: the system picks one' }),
  listen: list(listener, { default: [], help: 'listeners, beside host and port' }),
  workers: integer(1, 256, {
    name: 'thread_count',
    help: 'worker threads; default one for each CPU that cpu.max and the affinity allow',
  }),
  engine: choice(['auto', 'linux', 'node'], {
    default: 'auto',
    help: 'socket engine: batched system calls on Linux, or Node alone',
  }),
  backlog: integer(1, 65_535, {
    default: 4096,
    help: 'connections that wait to be accepted, of each listener',
  }),
  maxConnections: integer(1, MANY, {
    default: 10_000,
    help: 'client connections; at the limit the one that is idle for longest closes',
  }),
  maxConnectionsPerIp: integer(1, MANY, {
    help: 'of one client, IPv6 by /64, TLS handshakes included; default no limit',
  }),
  connectionTimeoutMs: integer(1, MANY, { help: 'the same as timeouts.idle, in milliseconds' }),
  protocols: list(
    choice(['http1', 'http2', 'websocket'], { help: 'a protocol' }),
    {
      default: ['http1', 'websocket'],
      help: 'what clients may speak; without websocket, Upgrade is ignored; of http2 a notice says that it comes later',
    },
    1,
  ),
  upgrades: list(parsed({ help: 'a protocol', expected: PROTOCOL }, readProtocol), {
    default: [],
    help: 'further protocols that clients may switch to by Upgrade',
  }),
  tls: object(TLS, { help: 'TLS of host and port' }, checkTlsKeys),
  ...SECURITY,
  limits: object(LIMITS, { default: {}, help: 'limits of messages' }),
  timeouts: object(
    { ...CLIENT_TIMEOUTS, ...UPSTREAM_TIMEOUTS },
    { default: {}, help: 'time-outs; those of upstreams can be set for each route, too' },
  ),
  trustedProxies: list(parsed({ help: 'a network', expected: NETWORK }, readNetwork), {
    default: [],
    help: 'whose forwarding fields and PROXY headers are believed; unix: is for peers of Unix sockets',
  }),
  accessLog: object(ACCESS_LOG, { help: 'one record for each request; default none' }, checkAccessLog),
  drain: duration({ default: 0, help: 'after SIGTERM, accepting goes on for this long' }, 0),
  grace: duration({ default: '25s', help: 'then requests have this long to end' }, 0),
  service: path({
    help: 'instead of routes: a module (.js, .mjs) whose default export is an HTTP service of mproxy-service',
  }),
  portEncoding: object(PORT_ENCODING, { help: 'instead of routes: the host of a request names its port' }),
  run: list(text({ help: 'a command' }), {
    default: [],
    help: 'commands of development servers, which start and stop with the gateway',
  }),
  errorPages: later('error pages'),
};
