import { parseDuration, parseInteger, parseSize, usage } from 'mproxy-base';
import {
  type CommonOptions,
  type MoldReceiveOptions,
  type MoldSendOptions,
  parseAllow,
  parseFlushAfter,
  parseNetworks,
  parsePayload,
  readMoldReceiving,
  readMoldSending,
} from 'mproxy-flow';
import {
  type AddressRule,
  forbidTlsOptions,
  isMold,
  type KeyOptions,
  keyDefaults,
  listOf,
  parseAddress,
  parseAddresses,
  type TlsServerOptions,
} from 'mproxy-net';

/** The flags of mproxy-reverse, in camelCase. */
export interface ReverseOptions
  extends CommonOptions,
    KeyOptions,
    TlsServerOptions,
    MoldSendOptions,
    MoldReceiveOptions {
  /** `HOST:PORT[,KEY...]` to listen on for datagrams to the group. */
  udpListenAddr?: string | string[];
  /** `HOST:PORT[,KEY...]` or `tls://HOST:PORT[,KEY...]` to accept senders to the group on. */
  tcpListenAddr?: string | string[];
  /** `GROUP:PORT[,KEY...]` between inputs and outputs; default `[ff02::1]:9918`. */
  multicastAddr?: string;
  /** `HOST:PORT[,KEY...]` or `tls://HOST:PORT[,KEY...]` to accept clients on, which get the group's data. */
  tcpOutputAddr?: string | string[];
  /** `HOST:PORT[,KEY...]` to send the group's data to. */
  udpOutputAddr?: string | string[];
  /** Queue limit of a slow client, in bytes; default 8 MiB, at least 64 KiB. */
  clientBuffer?: number | string;
  /** How long a client may accept no queued data, such as `5m`; default 5 minutes, 0 no limit. */
  clientTimeout?: number | string;
  /** Maximum number of clients on each `tcpOutputAddr`; default 1000. */
  maxClients?: number | string;
  /** Maximum number of senders on each `tcpListenAddr`; default 1000. */
  maxSenders?: number | string;
  /** How long a sender may be silent, such as `5m`; default 0, no limit. */
  senderTimeout?: number | string;
  /**
   * Networks that may connect and whose datagrams the UDP listeners accept, such as `192.168.0.0/16`; default
   * all. Datagrams of the group are not filtered.
   */
  allow?: string | string[];
  /** Maximum UDP payload in bytes, 1 to 65,507; default the MTU less headers, at most 8096. */
  payload?: number | string;
  /** Sends an unfinished line or `raw` piece this long after its first byte; default 50 ms for `raw` only. */
  flushAfter?: number | string;
}

const DEFAULT_GROUP = '[ff02::1]:9918';

export const UDP_LISTEN_ADDR: AddressRule = {
  flag: '--udp-listen-addr',
  keys: ['frame', 'interface', 'source', 'rcvbuf'],
  listens: true,
  carries: 'datagrams',
};
export const TCP_LISTEN_ADDR: AddressRule = {
  flag: '--tcp-listen-addr',
  keys: ['frame', 'tls'],
  listens: true,
  carries: 'stream',
};
export const MULTICAST_ADDR: AddressRule = {
  flag: '--multicast-addr',
  keys: ['frame', 'interface', 'source', 'ttl', 'loop', 'bind', 'tos', 'rcvbuf', 'sndbuf'],
  listens: false,
  carries: 'datagrams',
};
export const TCP_OUTPUT_ADDR: AddressRule = {
  flag: '--tcp-output-addr',
  keys: ['frame', 'tls'],
  listens: true,
  carries: 'stream',
};
export const UDP_OUTPUT_ADDR: AddressRule = {
  flag: '--udp-output-addr',
  keys: ['frame', 'interface', 'ttl', 'loop', 'bind', 'tos', 'sndbuf'],
  listens: false,
  carries: 'datagrams',
};

/** Holds any datagram. */
const MIN_BUFFER = 64 * 1024;

/** Validates all options before any name is resolved or anything is opened. @throws MPROXY_USAGE */
export function readOptions(options: ReverseOptions) {
  const defaults = keyDefaults(options);
  const udpListens = parseAddresses(options.udpListenAddr, UDP_LISTEN_ADDR, defaults);
  const tcpListens = parseAddresses(options.tcpListenAddr, TCP_LISTEN_ADDR, defaults);
  const tcpOutputs = parseAddresses(options.tcpOutputAddr, TCP_OUTPUT_ADDR, defaults);
  const udpOutputs = parseAddresses(options.udpOutputAddr, UDP_OUTPUT_ADDR, defaults);
  const group = parseAddress(options.multicastAddr ?? DEFAULT_GROUP, MULTICAST_ADDR, defaults);
  const hasInputs = udpListens.length + tcpListens.length > 0;
  // Without inputs the tee copies the group's data.
  const readsGroup = tcpOutputs.length + udpOutputs.length > 0 || (options.tee === true && !hasInputs);
  if (!hasInputs && !readsGroup) {
    throw usage(
      '--tcp-output-addr',
      'missing',
      'there is no source and no sink',
      'see mproxy-reverse --help',
    );
  }
  if (hasInputs && readsGroup && group.keys.loop === false) {
    throw usage('loop', 'no', 'what comes in reaches the outputs by the loop of the group', 'leave it out');
  }
  const sends = (hasInputs && isMold(group)) || udpOutputs.some(isMold);
  const receives = (readsGroup && isMold(group)) || udpListens.some(isMold);
  if (options.once && !receives)
    throw usage('--once', 'given', 'nothing that is received has an end', 'use frame=mold');
  const secure = [...tcpListens, ...tcpOutputs].some(({ keys }) => keys.tls);
  if (!secure) forbidTlsOptions(options, ['tlsCert', 'tlsKey', 'tlsClientCa']);
  return {
    udpListens,
    tcpListens,
    tcpOutputs,
    udpOutputs,
    group,
    hasInputs,
    readsGroup,
    sending: readMoldSending(options, sends),
    receiving: readMoldReceiving(options, receives),
    limits: readLimits(options),
    ...readAllow(options, udpListens.length + tcpListens.length + tcpOutputs.length),
    payload: parsePayload(options.payload, sends),
    flushAfter: parseFlushAfter(
      options.flushAfter,
      tcpListens.map(({ keys }) => keys.frame ?? 'lines'),
    ),
    tee: options.tee ? { frame: defaults.frame ?? 'lines' } : undefined,
  };
}

function readAllow(options: ReverseOptions, listeners: number) {
  const allow = listOf(options.allow);
  if (allow.length > 0 && listeners === 0)
    throw usage('--allow', allow.join(', '), 'there is no listener', 'use --tcp-output-addr');
  return { allow: parseAllow(allow), networks: parseNetworks(allow) };
}

function readLimits({
  clientBuffer = '8MiB',
  clientTimeout = '5m',
  maxClients = 1000,
  maxSenders = 1000,
  senderTimeout = 0,
}: ReverseOptions) {
  const buffer = parseSize('--client-buffer', clientBuffer);
  if (buffer < MIN_BUFFER) {
    throw usage('--client-buffer', String(clientBuffer), 'less than 64KiB, one datagram');
  }
  return {
    clientBuffer: buffer,
    clientTimeout: parseDuration('--client-timeout', clientTimeout),
    maxClients: parseInteger('--max-clients', maxClients, 0, 1_000_000),
    maxSenders: parseInteger('--max-senders', maxSenders, 0, 1_000_000),
    senderTimeout: parseDuration('--sender-timeout', senderTimeout),
  };
}
