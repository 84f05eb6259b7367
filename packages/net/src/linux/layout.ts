import { isIPv4 } from 'node:net';
import type { SocketAddress } from 'mproxy-base';

/**
 * The structures of recvmmsg(2) and sendmmsg(2) as bytes, for 64-bit little-endian Linux (x86-64 and arm64);
 * glibc and musl agree when musl's padding is zero. Sizes and offsets: <bits/types/struct_iovec.h>,
 * <bits/socket.h>, <linux/in.h>, <linux/in6.h>.
 */

/** struct iovec: void *iov_base; size_t iov_len. */
export const IOVEC = { size: 16, base: 0, length: 8 };

/**
 * struct mmsghdr: struct msghdr (void *msg_name; socklen_t msg_namelen; struct iovec *msg_iov;
 * size_t msg_iovlen; void *msg_control; size_t msg_controllen; int msg_flags), then unsigned int msg_len.
 */
export const MMSGHDR = {
  size: 64,
  name: 0,
  nameLength: 8,
  iov: 16,
  iovCount: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  length: 56,
};

/** struct cmsghdr: size_t cmsg_len; int cmsg_level; int cmsg_type; data padded to 8 (CMSG_ALIGN, cmsg(3)). */
export const CMSGHDR = { size: 16, length: 0, level: 8, type: 12 };

/**
 * struct epoll_event: uint32_t events; epoll_data_t data (8 bytes). On x86-64 alone it is packed (EPOLL_PACKED,
 * <linux/eventpoll.h>), so that 32-bit programs share it.
 */
export function epollEvent(arch: string): { size: number; events: number; data: number } {
  return arch === 'x64' ? { size: 12, events: 0, data: 4 } : { size: 16, events: 0, data: 8 };
}

/** Space for the control messages of one entry: UDP_GRO (an int) and padding. */
export const CONTROL_SIZE = 32;
/** CMSG_SPACE(sizeof(uint16_t)): one UDP_SEGMENT. */
export const SEGMENT_SPACE = 24;
/** sizeof(struct sockaddr_in6), the larger of the two. */
export const NAME_SIZE = 28;
/** {@link NAME_SIZE} padded to 8. */
export const NAME_SPACE = 32;

// <sys/socket.h>, <asm-generic/socket.h>, <linux/udp.h>
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;

/** Encodes a struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes). The zone is an interface index. */
export function encodeAddress(address: string, port: number, zone = 0): Buffer {
  const bytes = Buffer.alloc(isIPv4(address) ? 16 : NAME_SIZE);
  bytes.writeUInt16LE(isIPv4(address) ? AF_INET : AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  if (isIPv4(address)) ipv4Bytes(address).copy(bytes, 4);
  else {
    ipv6Bytes(address).copy(bytes, 8);
    bytes.writeUInt32LE(zone, 24);
  }
  return bytes;
}

/** sizeof sun_path, unix(7). */
export const PATH_SIZE = 108;

/** Encodes a struct sockaddr_un. A name in the abstract namespace begins with a zero byte; after a path there is one. */
export function encodeUnixName(path: Buffer): Buffer {
  const bytes = Buffer.alloc(2 + path.length + (path[0] === 0 ? 0 : 1));
  bytes.writeUInt16LE(AF_UNIX);
  path.copy(bytes, 2);
  return bytes;
}

/** The port and address of a socket address: 4 bytes for IPv4 and IPv4-mapped, else 16. */
export function decodeAddress(bytes: Buffer, offset = 0): { port: number; address: Buffer } {
  const port = bytes.readUInt16BE(offset + 2);
  if (bytes.readUInt16LE(offset) === AF_INET)
    return { port, address: bytes.subarray(offset + 4, offset + 8) };
  const address = bytes.subarray(offset + 8, offset + 24);
  return { port, address: isMapped(address) ? address.subarray(12) : address };
}

/**
 * A socket address as text, as in other engines: IPv4-mapped as IPv4, a link-local address with its zone.
 * @param zoneName returns the name of the interface with an index
 */
export function decodeSocketAddress(
  bytes: Buffer,
  offset: number,
  zoneName: (index: number) => string,
): SocketAddress {
  const { port, address } = decodeAddress(bytes, offset);
  if (address.length === 4)
    return { address: `${address[0]}.${address[1]}.${address[2]}.${address[3]}`, port };
  const words = Array.from({ length: 8 }, (_, i) => address.readUInt16BE(2 * i).toString(16));
  // The URL parser writes an address in its shortest form (RFC 5952).
  const text = new URL(`http://[${words.join(':')}]`).hostname.slice(1, -1);
  const isLinkLocal = (address.readUInt16BE(0) & 0xffc0) === 0xfe80;
  const zone = isLinkLocal ? bytes.readUInt32LE(offset + 24) : 0;
  return { address: zone === 0 ? text : `${text}%${zoneName(zone)}`, port };
}

export function addressBytes(address: string): Buffer {
  return isIPv4(address) ? ipv4Bytes(address) : ipv6Bytes(address.replace(/%.*/, ''));
}

/** Writes UDP_SEGMENT: sendmmsg(2) splits the entry into datagrams of this many bytes (udp(7)). */
export function encodeSegment(into: Buffer, offset: number, segment: number): void {
  into.writeBigUInt64LE(BigInt(CMSGHDR.size + 2), offset + CMSGHDR.length);
  into.writeInt32LE(SOL_UDP, offset + CMSGHDR.level);
  into.writeInt32LE(UDP_SEGMENT, offset + CMSGHDR.type);
  into.writeUInt16LE(segment, offset + CMSGHDR.size);
}

/**
 * Reads the control messages of one received entry.
 * @returns the size of each datagram of an aggregate, in bytes; 0 for a single datagram
 */
export function decodeSegment(bytes: Buffer, offset: number, length: number): number {
  const end = Math.min(offset + length, bytes.length);
  let at = offset;
  while (at + CMSGHDR.size + 4 <= end) {
    const size = bytes.readUInt32LE(at + CMSGHDR.length);
    const level = bytes.readInt32LE(at + CMSGHDR.level);
    const type = bytes.readInt32LE(at + CMSGHDR.type);
    if (level === SOL_UDP && type === UDP_GRO) return bytes.readInt32LE(at + CMSGHDR.size);
    // An impossible cmsg_len ends the list.
    if (size < CMSGHDR.size) return 0;
    at += (size + 7) & ~7;
  }
  return 0;
}

/** Space for one error queue entry's control messages: sock_extended_err, a sockaddr_in6, and padding. */
export const ERROR_SPACE = 96;

// <linux/in.h>, <linux/in6.h>, <linux/errqueue.h>
const SOL_IP = 0;
const IP_RECVERR = 11;
const SOL_IPV6 = 41;
const IPV6_RECVERR = 25;
const SO_EE_ORIGIN_ICMP = 2;
const SO_EE_ORIGIN_ICMP6 = 3;

/**
 * Reads the control messages of one error queue entry (ip(7), IP_RECVERR): struct sock_extended_err
 * (u32 ee_errno; u8 ee_origin, ee_type, ee_code, ee_pad; u32 ee_info, ee_data).
 * @returns the errno of an ICMP error; 0 for anything else: the send has already reported local errors
 */
export function decodeReturned(bytes: Buffer, offset: number, length: number): number {
  const end = Math.min(offset + length, bytes.length);
  let at = offset;
  while (at + CMSGHDR.size + 16 <= end) {
    const size = bytes.readUInt32LE(at + CMSGHDR.length);
    const level = bytes.readInt32LE(at + CMSGHDR.level);
    const type = bytes.readInt32LE(at + CMSGHDR.type);
    const data = at + CMSGHDR.size;
    if ((level === SOL_IP && type === IP_RECVERR) || (level === SOL_IPV6 && type === IPV6_RECVERR)) {
      const origin = bytes[data + 4]!;
      return origin === SO_EE_ORIGIN_ICMP || origin === SO_EE_ORIGIN_ICMP6 ? bytes.readUInt32LE(data) : 0;
    }
    // As in decodeSegment.
    if (size < CMSGHDR.size) return 0;
    at += (size + 7) & ~7;
  }
  return 0;
}

function ipv4Bytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

function ipv6Bytes(address: string): Buffer {
  // The URL parser writes any IPv6 address in hexadecimal groups, with at most one `::`.
  const [before = '', after] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const words = (text: string) =>
    text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16));
  const head = words(before);
  const tail = words(after ?? '');
  const all = [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}

function isMapped(address: Buffer): boolean {
  return address.readUInt32BE(8) === 0xffff && address.readUInt32BE(4) === 0 && address.readUInt32BE(0) === 0;
}
