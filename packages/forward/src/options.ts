import { readFileSync } from 'node:fs';
import { failure, parseDuration, usage } from 'mproxy-base';
import {
  type CommonOptions,
  type MoldReceiveOptions,
  type MoldSendOptions,
  parseFlushAfter,
  parseNetworks,
  parsePayload,
  readMoldReceiving,
  readMoldSending,
} from 'mproxy-flow';
import type { AddressRule } from 'mproxy-net';
import {
  forbidTlsOptions,
  isMold,
  type KeyOptions,
  keyDefaults,
  listOf,
  parseAddresses,
  type TlsClientOptions,
} from 'mproxy-net';

/** The flags of mproxy-forward, in camelCase. */
export interface ForwardOptions
  extends CommonOptions,
    KeyOptions,
    TlsClientOptions,
    MoldSendOptions,
    MoldReceiveOptions {
  /** `HOST:PORT[,KEY...]` to listen on. If the first is a group, it also gets the data of TCP upstreams. */
  udpListenAddr?: string | string[];
  /** Networks whose datagrams the UDP listeners accept, such as `192.168.0.0/16`; default all. */
  allow?: string | string[];
  /** `HOST:PORT[,KEY...]` to send to. */
  udpDownstreamAddr?: string | string[];
  /** `HOST:PORT[,KEY...]` or `tls://HOST:PORT[,KEY...]` to connect to. */
  tcpConnectAddr?: string | string[];
  /** Silence after which an upstream has failed, such as `30s`; default 0, never. */
  idleTimeout?: number | string;
  /** Sent after every connect; `\n`, `\r`, `\t` and `\\` are understood. */
  greeting?: string;
  /** File to send instead of `greeting`, which keeps a password off the command line. */
  greetingFile?: string;
  /** Connect each upstream once and end when all upstreams, or all `frame=mold` sessions, have ended. */
  once?: boolean;
  /** Maximum UDP payload in bytes, 1 to 65,507; default the MTU less headers, at most 8096. */
  payload?: number | string;
  /** Sends an unfinished line or `raw` piece this long after its first byte; default 50 ms for `raw` only. */
  flushAfter?: number | string;
}

export const UDP_LISTEN_ADDR: AddressRule = {
  flag: '--udp-listen-addr',
  keys: ['frame', 'interface', 'source', 'rcvbuf', 'ttl', 'loop', 'bind', 'tos', 'sndbuf'],
  listens: true,
  carries: 'datagrams',
};
export const UDP_DOWNSTREAM_ADDR: AddressRule = {
  flag: '--udp-downstream-addr',
  keys: ['frame', 'interface', 'ttl', 'loop', 'bind', 'tos', 'sndbuf'],
  listens: false,
  carries: 'datagrams',
};
export const TCP_CONNECT_ADDR: AddressRule = {
  flag: '--tcp-connect-addr',
  keys: ['frame', 'bind', 'tls'],
  listens: false,
  carries: 'stream',
};

/** Validates all options before any name is resolved or anything is opened. @throws MPROXY_USAGE */
export function readOptions(options: ForwardOptions) {
  const defaults = keyDefaults(options);
  const listens = parseAddresses(options.udpListenAddr, UDP_LISTEN_ADDR, defaults);
  const downstreams = parseAddresses(options.udpDownstreamAddr, UDP_DOWNSTREAM_ADDR, defaults);
  const upstreams = parseAddresses(options.tcpConnectAddr, TCP_CONNECT_ADDR, defaults);
  const { once = false, idleTimeout = 0, greeting, greetingFile } = options;
  if (listens.length + upstreams.length === 0) {
    throw usage('--udp-listen-addr', 'missing', 'there is no source', 'or use --tcp-connect-addr');
  }
  const receives = listens.some(isMold);
  // Data from TCP upstreams is also sent to the first listen address if it is a group.
  const sends = downstreams.some(isMold) || (upstreams.length > 0 && listens.slice(0, 1).some(isMold));
  if (once && upstreams.length === 0 && !receives) {
    throw usage(
      '--once',
      'given',
      'there is nothing that could end',
      'use --tcp-connect-addr, or frame=mold',
    );
  }
  if (once && upstreams.length > 0 && receives) {
    const why = 'upstreams and sessions of frame=mold do not end together';
    throw usage('--once', 'given', why, 'use a command for each');
  }
  const greets = greetingFile === undefined ? '--greeting' : '--greeting-file';
  const given = greetingFile ?? greeting;
  if (greeting !== undefined && greetingFile !== undefined)
    throw usage('--greeting-file', greetingFile, '--greeting is given, too', 'use one of them');
  if (given !== undefined && upstreams.length === 0) {
    throw usage(greets, given, 'there is no upstream to greet', 'use --tcp-connect-addr');
  }
  const secure = upstreams.some(({ keys }) => keys.tls);
  if (!secure) forbidTlsOptions(options, ['tlsCa', 'tlsCert', 'tlsKey', 'tlsServername', 'tlsInsecure']);
  return {
    listens,
    downstreams,
    upstreams,
    once,
    sending: readMoldSending(options, sends),
    receiving: readMoldReceiving(options, receives),
    allow: readAllow(options, listens.length),
    payload: parsePayload(options.payload, sends),
    flushAfter: parseFlushAfter(
      options.flushAfter,
      upstreams.map(({ keys }) => keys.frame ?? 'lines'),
    ),
    idleTimeout: parseDuration('--idle-timeout', idleTimeout),
    greeting:
      greetingFile === undefined ? Buffer.from(readEscapes(greeting ?? '')) : readGreeting(greetingFile),
    tee: options.tee ? { frame: defaults.frame ?? 'lines' } : undefined,
  };
}

/** @throws MPROXY_FILE */
function readGreeting(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw failure('MPROXY_FILE', '--greeting-file', file, error);
  }
}

function readAllow({ allow }: ForwardOptions, listeners: number): ReturnType<typeof parseNetworks> {
  const networks = parseNetworks(listOf(allow));
  if (networks && listeners === 0)
    throw usage('--allow', listOf(allow).join(', '), 'there is no UDP listener', 'use --udp-listen-addr');
  return networks;
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

function readEscapes(text: string): string {
  return text.replace(/\\(.?)/gs, (_, letter: string) => {
    const escaped = ESCAPES[letter];
    if (escaped !== undefined) return escaped;
    throw usage('--greeting', text, `unknown escape \\${letter}`, 'use \\n, \\r, \\t or \\\\');
  });
}
