import { isIPv4, isIPv6 } from 'node:net';
import type { SocketAddress } from 'mproxy-base';
import { canonicalIp } from 'mproxy-net/address';
import { addressBytes } from 'mproxy-net/linux/layout';

/** The PROXY protocol (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt): what it says of the original connection. */
export interface ProxyHeader {
  /** Bytes of the header. */
  length: number;
  /** Undefined: it tells none (v1 UNKNOWN, v2 LOCAL, UNSPEC or UNIX); those of the socket count. */
  source: SocketAddress | undefined;
  destination: SocketAddress | undefined;
}

/** `incomplete`: more bytes are needed. `invalid`: it is no such header. */
export type ProxyHeaderResult = ProxyHeader | 'incomplete' | 'invalid';

/** The longest header of v1, CRLF included (section 2.1). */
const V1_MOST = 107;
const V1_START = Buffer.from('PROXY ');
/** Section 2.2. */
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_FIXED = 16;
/** The most bytes of addresses and TLVs that are accepted; the field could say 65,535. */
const V2_MOST = 4096;
/** The longest header. */
export const PROXY_HEADER_MOST = V2_FIXED + V2_MOST;
const LOCAL = 0x20;
const PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;
/** Families that have no address of a TCP connection: AF_UNSPEC, and AF_UNIX with a stream. */
const WITHOUT_ADDRESS = new Set([0x00, 0x31]);

/** Parses what a connection begins with. */
export function parseProxyHeader(bytes: Buffer): ProxyHeaderResult {
  if (startsWith(bytes, V2_SIGNATURE)) return bytes.length < V2_FIXED ? 'incomplete' : parseV2(bytes);
  if (startsWith(bytes, V1_START)) return parseV1(bytes);
  return 'invalid';
}

/** Whether bytes begin with others, or are the beginning of them. */
function startsWith(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

function parseV1(bytes: Buffer): ProxyHeaderResult {
  const end = bytes.subarray(0, V1_MOST).indexOf('\r\n');
  if (end < 0) return bytes.length < V1_MOST ? 'incomplete' : 'invalid';
  const length = end + 2;
  const [, family, ...rest] = bytes.toString('latin1', 0, end).split(' ');
  if (family === 'UNKNOWN') return { length, source: undefined, destination: undefined };
  const isIp = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : undefined;
  if (!isIp || rest.length !== 4) return 'invalid';
  const [from, to, fromPort, toPort] = rest as [string, string, string, string];
  const source = addressOf(isIp, from, fromPort);
  const destination = addressOf(isIp, to, toPort);
  return source && destination ? { length, source, destination } : 'invalid';
}

function addressOf(isIp: (text: string) => boolean, ip: string, port: string): SocketAddress | undefined {
  if (!isIp(ip) || !/^(0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65_535) return undefined;
  const address = canonicalIp(ip);
  return address === undefined ? undefined : { address, port: Number(port) };
}

function parseV2(bytes: Buffer): ProxyHeaderResult {
  const command = bytes[12]!;
  const family = bytes[13]!;
  const size = bytes.readUInt16BE(14);
  if ((command !== LOCAL && command !== PROXY) || size > V2_MOST) return 'invalid';
  const length = V2_FIXED + size;
  const ip = family === TCP4 ? 4 : family === TCP6 ? 16 : 0;
  if (command === PROXY && ip === 0 && !WITHOUT_ADDRESS.has(family)) return 'invalid';
  if (command === PROXY && size < 2 * ip + (ip && 4)) return 'invalid';
  if (bytes.length < length) return 'incomplete';
  if (command === LOCAL || ip === 0) return { length, source: undefined, destination: undefined };
  const at = (index: number) => ({
    address: showIp(bytes.subarray(V2_FIXED + index * ip, V2_FIXED + (index + 1) * ip)),
    port: bytes.readUInt16BE(V2_FIXED + 2 * ip + 2 * index),
  });
  return { length, source: at(0), destination: at(1) };
}

function showIp(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const words = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return canonicalIp(words.join(':'))!;
}

/**
 * A header for an upstream. Where an address is missing, or the two differ in their family, it says UNKNOWN (v1) or LOCAL (v2).
 * IPv4-mapped addresses are IPv4; zones are left out.
 */
export function proxyHeader(
  version: 1 | 2,
  source: SocketAddress | undefined,
  destination: SocketAddress | undefined,
): Buffer {
  const from = bare(source);
  const to = bare(destination);
  const known = from && to && isIPv4(from.address) === isIPv4(to.address) ? { from, to } : undefined;
  if (version === 2) return encodeV2(known);
  if (!known) return Buffer.from('PROXY UNKNOWN\r\n');
  const family = isIPv4(known.from.address) ? 'TCP4' : 'TCP6';
  const { from: a, to: b } = known;
  return Buffer.from(`PROXY ${family} ${a.address} ${b.address} ${a.port} ${b.port}\r\n`);
}

function bare(one: SocketAddress | undefined): SocketAddress | undefined {
  const address = one && canonicalIp(one.address.replace(/%.*/, ''));
  return one && address ? { address, port: one.port } : undefined;
}

function encodeV2(known: { from: SocketAddress; to: SocketAddress } | undefined): Buffer {
  if (!known) return Buffer.concat([V2_SIGNATURE, Buffer.from([LOCAL, 0, 0, 0])]);
  const ends = [known.from, known.to];
  const ports = Buffer.alloc(4);
  for (const [i, { port }] of ends.entries()) ports.writeUInt16BE(port, 2 * i);
  const body = Buffer.concat([...ends.map(({ address }) => addressBytes(address)), ports]);
  const head = Buffer.from([PROXY, body.length === 12 ? TCP4 : TCP6, 0, body.length]);
  return Buffer.concat([V2_SIGNATURE, head, body]);
}
