export const ROLES = [
  'relay',
  'server',
  'client',
  'group',
  'latency',
  'many',
  'repair',
  'gateway',
  'start',
] as const;
export type Role = (typeof ROLES)[number];

/**
 * What clients of a gateway do: requests on kept connections, a new connection for each, the same with the session of an earlier one
 * (TLS), or messages of a WebSocket that come back.
 */
export type Mode = 'kept' | 'new' | 'resumed' | 'echo';

/** A load that all contestants of a role get. */
export interface Load {
  role: Role;
  name: string;
  /** Bytes of a datagram, or of the body of an answer. */
  size: number;
  /** Datagrams or requests per second; 0 is the generator's maximum. */
  rate: number;
  seconds: number;
  /** Whether the generator sends up to 64 datagrams per call (UDP_SEGMENT). */
  segmented: boolean;
  /** TCP clients of a group or a gateway, and whether they are clients of TLS. */
  clients: number;
  tls: boolean;
  /** Size of a client's input, and its frame. */
  bytes: number;
  frame: 'lines' | 'raw' | 'mold';
  /** Whether the client gets `size` as a flag; otherwise it uses its default. */
  told: boolean;
  /** Many only: sockets of one server, and whether each is a member of a group. */
  listeners: number;
  groups: boolean;
  /** Gateway only. */
  mode: Mode;
  /** Repair only: loss of each receiver in both directions, 0 to 1, and the sending rate. */
  loss: number;
  mbps: number;
}

const defaults = {
  rate: 0,
  seconds: 0,
  segmented: false,
  clients: 0,
  tls: false,
  bytes: 0,
  frame: 'raw',
  told: true,
  listeners: 0,
  groups: false,
  mode: 'kept',
  loss: 0,
  mbps: 0,
} as const;

/** Seven packets of an MPEG transport stream, the usual datagram. */
const TS = 1316;

/** UDP payload of an Ethernet frame with IPv6: 1,500 - 48 bytes. */
const ETHERNET = 1452;

export function fullLoads(): Load[] {
  const seconds = 1;
  return [
    ...udp('relay', seconds, [64, 0], [TS, 0], [1400, 100_000], [1400, 0], [1400, 1_000_000], [8000, 0]),
    ...udp('server', seconds, [64, 0], [TS, 0], [1400, 100_000], [1400, 0], [8000, 0]),
    lines(500e6),
    file('lines', ETHERNET, 2e9),
    file('mold', ETHERNET, 2e9),
    file('raw', 64, 32e6),
    file('raw', 1400, 2e9),
    file('raw', 8000, 500e6),
    group(1400, 10_000, 1, seconds),
    group(1400, 10_000, 10, seconds),
    tlsGroup(1400, 10_000, 10, seconds),
    group(1400, 10_000, 100, seconds),
    group(64, 50_000, 10, seconds),
    group(8000, 10_000, 10, seconds),
    probe(100, 2000, seconds),
    probe(1400, 2000, seconds),
    many(200, true),
    many(200, false),
    many(1000, false),
    ...[0, 0.01, 0.05, 0.2].map((loss) => repair(100e6, loss)),
    ...gateway(2, [64, 100], [512, 100], [16, 1e6]),
    freshGateway(64, 2),
    ...tlsGateway(2),
    pacedGateway(5000, 64, 2),
    echoes(64, 100, 2),
    start(5000),
    { ...start(2000), name: '2,000 idle TLS connections', tls: true },
  ];
}

export function quickLoads(): Load[] {
  const seconds = 0.4;
  return [
    ...udp('relay', seconds, [TS, 0], [1400, 100_000], [1400, 0], [1400, 1_000_000]),
    ...udp('server', seconds, [1400, 100_000], [1400, 0]),
    lines(200e6),
    file('raw', 1400, 200e6),
    group(1400, 10_000, 1, seconds),
    group(1400, 10_000, 10, seconds),
    tlsGroup(1400, 10_000, 10, seconds),
    group(1400, 10_000, 100, seconds),
    probe(100, 2000, seconds),
    many(200, true),
    repair(20e6, 0.05),
    ...gateway(seconds, [64, 100], [16, 1e6]),
    freshGateway(64, seconds),
    ...tlsGateway(seconds),
    pacedGateway(5000, 64, seconds),
    echoes(64, 100, seconds),
    start(1000),
  ];
}

/** Light loads run longer, so that JIT compilation does not dominate. */
const LIGHT_FACTOR = 4;

/** Only a million per second needs segmented sends: no generator reaches it one by one. */
function udp(role: 'relay' | 'server', seconds: number, ...loads: [size: number, rate: number][]): Load[] {
  return loads.map(([size, rate]) => {
    const segmented = rate >= 1e6;
    const pace = rate ? `${thousands(rate)}/s` : 'flood';
    return {
      ...defaults,
      role,
      name: `${size} B, ${pace}${segmented ? ', segmented' : ''}`,
      size,
      rate,
      seconds: segmented ? seconds * LIGHT_FACTOR : seconds,
      segmented,
    };
  });
}

function file(frame: Load['frame'], size: number, bytes: number): Load {
  return { ...defaults, role: 'client', name: `${frame}, ${size} B, ${bytes / 1e6} MB`, size, bytes, frame };
}

/** Default flags: on loopback, lines are packed into datagrams of up to 8,096 bytes. */
function lines(bytes: number): Load {
  const name = `lines, default flags, ${bytes / 1e6} MB`;
  return { ...file('lines', 8096, bytes), name, told: false };
}

function group(size: number, rate: number, clients: number, seconds: number): Load {
  const who = clients === 1 ? '1 client' : `${clients} clients`;
  const name = `${size} B, ${thousands(rate)}/s, ${who}`;
  return { ...defaults, role: 'group', name, size, rate, seconds, clients };
}

function tlsGroup(size: number, rate: number, clients: number, seconds: number): Load {
  const name = `${size} B, ${thousands(rate)}/s, ${clients} TLS clients`;
  return { ...group(size, rate, clients, seconds * LIGHT_FACTOR), name, tls: true };
}

function probe(size: number, rate: number, seconds: number): Load {
  return {
    ...defaults,
    role: 'latency',
    name: `${size} B, ${thousands(rate)}/s`,
    size,
    rate,
    seconds: seconds * LIGHT_FACTOR,
  };
}

function many(listeners: number, groups: boolean): Load {
  const name = `${thousands(listeners)} ${groups ? 'groups' : 'unicast sockets'}`;
  return { ...defaults, role: 'many', name, size: 100, listeners, groups };
}

function repair(bytes: number, loss: number): Load {
  const mbps = 400;
  const name = `${bytes / 1e6} MB, ${mbps} Mbps, ${loss * 100} % lost`;
  return { ...defaults, role: 'repair', name, size: 0, bytes, loss, mbps };
}

function gateway(seconds: number, ...loads: [clients: number, size: number][]): Load[] {
  return loads.map(([clients, size]) => {
    const body = size >= 1e6 ? `${size / 1e6} MB` : `${size} B`;
    return {
      ...defaults,
      role: 'gateway',
      name: `${clients} kept connections, ${body}`,
      size,
      seconds,
      clients,
    };
  });
}

function freshGateway(clients: number, seconds: number): Load {
  const name = `a connection for each request, ${clients} at a time, 100 B`;
  return { ...defaults, role: 'gateway', name, size: 100, seconds, clients, mode: 'new' };
}

function tlsGateway(seconds: number): Load[] {
  const fresh = freshGateway(64, seconds);
  return [
    ...gateway(seconds, [64, 100], [16, 1e6]),
    { ...fresh, name: 'a full handshake for each request, 100 B' },
    { ...fresh, name: 'a resumed handshake for each request, 100 B', mode: 'resumed' as const },
  ].map((load) => ({ ...load, name: `TLS, ${load.name}`, tls: true }));
}

function pacedGateway(rate: number, clients: number, seconds: number): Load {
  const name = `${thousands(rate)} requests/s, ${clients} kept connections, 100 B`;
  return { ...defaults, role: 'gateway', name, size: 100, rate, seconds, clients };
}

function echoes(clients: number, size: number, seconds: number): Load {
  const name = `${clients} WebSockets, messages of ${size} B`;
  return { ...defaults, role: 'gateway', name, size, seconds, clients, mode: 'echo' };
}

function start(clients: number): Load {
  return { ...defaults, role: 'start', name: `${thousands(clients)} idle connections`, size: 100, clients };
}

function thousands(n: number): string {
  return n.toLocaleString('en');
}
