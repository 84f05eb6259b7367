export const ROLES = ['relay', 'server', 'client', 'group', 'latency', 'repair'] as const;
export type Role = (typeof ROLES)[number];

/** One piece of work that every contestant of a role is given. */
export interface Load {
  role: Role;
  name: string;
  /** Bytes of a datagram. */
  size: number;
  /** Datagrams a second; 0 is as fast as the generator can. */
  rate: number;
  seconds: number;
  /** Whether the generator hands the kernel up to 64 datagrams at once (UDP_SEGMENT). */
  segmented: boolean;
  /** TCP clients of a group. */
  clients: number;
  /** What a client reads and how it cuts it. */
  bytes: number;
  frame: 'lines' | 'raw' | 'mold';
  /** Whether it is told how long its datagrams are to be; else it chooses. */
  told: boolean;
  /** Of a repair: the part that each receiver loses of all that it receives and sends, and the pace. */
  loss: number;
  mbps: number;
}

const plain = {
  rate: 0,
  seconds: 0,
  segmented: false,
  clients: 0,
  bytes: 0,
  frame: 'raw',
  told: true,
  loss: 0,
  mbps: 0,
} as const;

/** Seven packets of an MPEG transport stream, as they usually travel. */
const TS = 1316;

/** What an Ethernet's 1,500 bytes leave, with the headers of IPv6 and UDP. */
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
    group(1400, 10_000, 100, seconds),
    group(64, 50_000, 10, seconds),
    group(8000, 10_000, 10, seconds),
    probe(100, 2000, seconds),
    probe(1400, 2000, seconds),
    ...[0, 0.01, 0.05, 0.2].map((loss) => repair(100e6, loss)),
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
    group(1400, 10_000, 100, seconds),
    probe(100, 2000, seconds),
    repair(20e6, 0.05),
  ];
}

/** A load that costs little is kept up longer: else how the code is compiled would be measured. */
const LIGHT_TIMES = 4;

/** Only a million a second needs segmented sends: one by one, no generator gets there. */
function udp(role: 'relay' | 'server', seconds: number, ...loads: [size: number, rate: number][]): Load[] {
  return loads.map(([size, rate]) => {
    const segmented = rate >= 1e6;
    const pace = rate ? `${thousands(rate)}/s` : 'flood';
    return {
      ...plain,
      role,
      name: `${size} B, ${pace}${segmented ? ', segmented' : ''}`,
      size,
      rate,
      seconds: segmented ? seconds * LIGHT_TIMES : seconds,
      segmented,
    };
  });
}

function file(frame: Load['frame'], size: number, bytes: number): Load {
  return { ...plain, role: 'client', name: `${frame}, ${size} B, ${bytes / 1e6} MB`, size, bytes, frame };
}

/** With default flags: on the loopback interface lines fill datagrams of 8,096 bytes. */
function lines(bytes: number): Load {
  const name = `lines, default flags, ${bytes / 1e6} MB`;
  return { ...file('lines', 8096, bytes), name, told: false };
}

function group(size: number, rate: number, clients: number, seconds: number): Load {
  const who = clients === 1 ? '1 client' : `${clients} clients`;
  const name = `${size} B, ${thousands(rate)}/s, ${who}`;
  return { ...plain, role: 'group', name, size, rate, seconds, clients };
}

function probe(size: number, rate: number, seconds: number): Load {
  return {
    ...plain,
    role: 'latency',
    name: `${size} B, ${thousands(rate)}/s`,
    size,
    rate,
    seconds: seconds * LIGHT_TIMES,
  };
}

function repair(bytes: number, loss: number): Load {
  const mbps = 400;
  const name = `${bytes / 1e6} MB, ${mbps} Mbps, ${loss * 100} % lost`;
  return { ...plain, role: 'repair', name, size: 0, bytes, loss, mbps };
}

function thousands(n: number): string {
  return n.toLocaleString('en');
}
