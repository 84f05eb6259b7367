import { ERRNO, systemError } from './errno.js';
import { addressBytes } from './layout.js';
import type { Libc } from './libc.js';

/** Socket options by level and number, from the kernel's uapi headers named beside them. */
const OPTIONS = {
  // <asm-generic/socket.h>, socket(7)
  SO_REUSEADDR: [1, 2],
  SO_ERROR: [1, 4],
  SO_BROADCAST: [1, 6],
  SO_SNDBUF: [1, 7],
  SO_RCVBUF: [1, 8],
  SO_KEEPALIVE: [1, 9],
  SO_LINGER: [1, 13],
  SO_SNDTIMEO: [1, 21],
  SO_ACCEPTCONN: [1, 30],
  SO_SNDBUFFORCE: [1, 32],
  SO_RCVBUFFORCE: [1, 33],
  SO_MEMINFO: [1, 55],
  // <linux/tcp.h>, tcp(7)
  TCP_NODELAY: [6, 1],
  TCP_KEEPIDLE: [6, 4],
  TCP_KEEPINTVL: [6, 5],
  TCP_KEEPCNT: [6, 6],
  TCP_USER_TIMEOUT: [6, 18],
  // <linux/in.h>, ip(7)
  IP_TOS: [0, 1],
  IP_RECVERR: [0, 11],
  IP_MULTICAST_IF: [0, 32],
  IP_MULTICAST_TTL: [0, 33],
  IP_MULTICAST_LOOP: [0, 34],
  IP_MULTICAST_ALL: [0, 49],
  MCAST_JOIN_GROUP: [0, 42],
  MCAST_LEAVE_GROUP: [0, 45],
  MCAST_JOIN_SOURCE_GROUP: [0, 46],
  // <linux/in6.h>, ipv6(7)
  IPV6_MULTICAST_IF: [41, 17],
  IPV6_MULTICAST_HOPS: [41, 18],
  IPV6_MULTICAST_LOOP: [41, 19],
  IPV6_RECVERR: [41, 25],
  IPV6_V6ONLY: [41, 26],
  IPV6_TCLASS: [41, 67],
  IPV6_MULTICAST_ALL: [41, 29],
  // <linux/udp.h>, udp(7)
  UDP_GRO: [17, 104],
} as const;

export type OptionName = keyof typeof OPTIONS;

/** @throws the system's error */
export function setOption(libc: Libc, fd: number, name: OptionName, value: number | Buffer): void {
  const errno = trySetOption(libc, fd, name, value);
  if (errno !== 0) throw systemError(errno, `setsockopt ${name}`);
}

/** @returns 0, or the errno */
export function trySetOption(libc: Libc, fd: number, name: OptionName, value: number | Buffer): number {
  const [level, option] = OPTIONS[name];
  const bytes = typeof value === 'number' ? int(value) : value;
  return libc.setsockopt(fd, level, option, bytes, bytes.length) === 0 ? 0 : libc.errno();
}

export function getOption(libc: Libc, fd: number, name: OptionName): number {
  const [level, option] = OPTIONS[name];
  const value = int(0);
  if (libc.getsockopt(fd, level, option, value, int(4)) !== 0)
    throw systemError(libc.errno(), `getsockopt ${name}`);
  return value.readInt32LE();
}

/**
 * Sets a buffer size, beyond the system's limit where allowed (CAP_NET_ADMIN).
 * @returns the granted size in bytes; the kernel reports twice that (socket(7))
 */
export function tuneBuffer(libc: Libc, fd: number, which: 'RCV' | 'SND', bytes: number): number {
  if (trySetOption(libc, fd, `SO_${which}BUFFORCE`, bytes) !== 0)
    setOption(libc, fd, `SO_${which}BUF`, bytes);
  return getOption(libc, fd, `SO_${which}BUF`) / 2;
}

/** Words of SO_MEMINFO, <linux/sock_diag.h>: SK_MEMINFO_RMEM_ALLOC and SK_MEMINFO_DROPS. */
const MEMINFO = { held: 0, drops: 8, words: 9 };

/** Datagrams that the kernel dropped since the socket was created: buffer full, or bad checksum. */
export function kernelDrops(libc: Libc, fd: number): number | undefined {
  return memoryInfo(libc, fd)?.readUInt32LE(4 * MEMINFO.drops);
}

/** Less than struct sk_buff (256 bytes) and skb_shared_info (320) take (SKB_TRUESIZE, <linux/skbuff.h>). */
export const ENTRY_MEMORY = 512;

/**
 * Memory of a socket's receive queue in bytes: each entry counts its data and more than {@link ENTRY_MEMORY}.
 * Infinite where the kernel does not report it.
 */
export function heldMemory(libc: Libc, fd: number): number {
  return memoryInfo(libc, fd)?.readUInt32LE(4 * MEMINFO.held) ?? Number.POSITIVE_INFINITY;
}

/** @returns undefined on kernels before 4.12 */
function memoryInfo(libc: Libc, fd: number): Buffer | undefined {
  const [level, option] = OPTIONS.SO_MEMINFO;
  const words = Buffer.alloc(4 * MEMINFO.words);
  return libc.getsockopt(fd, level, option, words, int(words.length)) === 0 ? words : undefined;
}

/** struct timeval of 64-bit Linux: two longs, seconds and microseconds. */
export function timeval(ms: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(BigInt(Math.floor(ms / 1000)), 0);
  bytes.writeBigInt64LE(BigInt((ms % 1000) * 1000), 8);
  return bytes;
}

/**
 * Joins a group on an interface, from any source or from one (RFC 3678, section 5).
 * @returns false when the socket was already a member
 */
export function joinGroup(libc: Libc, fd: number, group: Membership): boolean {
  const name = group.source === undefined ? 'MCAST_JOIN_GROUP' : 'MCAST_JOIN_SOURCE_GROUP';
  const errno = membership(libc, fd, name, group);
  if (errno === 0) return true;
  // For a member, from ip_mc_join_group, ip_mc_source (net/ipv4/igmp.c) and their like in net/ipv6/mcast.c.
  if (errno === ERRNO.EADDRINUSE || (group.source !== undefined && errno === ERRNO.EADDRNOTAVAIL))
    return false;
  throw systemError(errno, 'setsockopt MCAST_JOIN_GROUP');
}

/** Leaves a group on an interface, joined with or without sources. A group not joined is ignored. */
export function leaveGroup(libc: Libc, fd: number, group: Omit<Membership, 'source'>): void {
  membership(libc, fd, 'MCAST_LEAVE_GROUP', group);
}

export interface Membership {
  family: 4 | 6;
  group: string;
  /** The interface's index. */
  index: number;
  source?: string;
}

/** struct group_req or group_source_req: int interface, then one or two sockaddr_storage (RFC 3678, 5.1). */
function membership(
  libc: Libc,
  fd: number,
  name: OptionName,
  { family, group, index, source }: Membership,
): number {
  const [, option] = OPTIONS[name];
  const bytes = Buffer.alloc(8 + STORAGE * (source === undefined ? 1 : 2));
  bytes.writeUInt32LE(index, 0);
  storage(group, family).copy(bytes, 8);
  if (source !== undefined) storage(source, family).copy(bytes, 8 + STORAGE);
  const level = family === 4 ? 0 : 41;
  return libc.setsockopt(fd, level, option, bytes, bytes.length) === 0 ? 0 : libc.errno();
}

/** sizeof(struct sockaddr_storage), <linux/socket.h>. */
const STORAGE = 128;

function storage(address: string, family: 4 | 6): Buffer {
  const bytes = Buffer.alloc(STORAGE);
  bytes.writeUInt16LE(family === 4 ? 2 : 10, 0);
  addressBytes(address).copy(bytes, family === 4 ? 4 : 8);
  return bytes;
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
