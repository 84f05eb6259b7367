import type { SocketAddress } from 'mproxy-base';
import type { NetInterface } from '../interfaces.js';
import { ERRNO, systemError } from './errno.js';
import { AF_INET, AF_INET6, addressBytes, decodeAddress, encodeAddress, NAME_SIZE } from './layout.js';
import type { Libc } from './libc.js';

const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;

/** @throws the system's error */
export function openSocket(libc: Libc, family: 4 | 6): number {
  const fd = libc.socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError(libc.errno(), 'socket');
  return fd;
}

/** @throws the system's error */
export function bindSocket(libc: Libc, fd: number, { address, port }: SocketAddress): void {
  const name = endpointBytes(libc, address, port);
  if (libc.bind(fd, name, name.length) !== 0) throw systemError(libc.errno(), 'bind');
}

/** @returns 0, or the errno */
export function connectSocket(libc: Libc, fd: number, { address, port }: SocketAddress): number {
  const name = endpointBytes(libc, address, port);
  return libc.connect(fd, name, name.length) === 0 ? 0 : libc.errno();
}

/** Connects to AF_UNSPEC first, to unbind the old interface index (connect(2), __udp_disconnect). */
export function reconnectSocket(libc: Libc, fd: number, to: SocketAddress): number {
  const unspecified = Buffer.alloc(NAME_SIZE);
  libc.connect(fd, unspecified, unspecified.length);
  return connectSocket(libc, fd, to);
}

export function localPort(libc: Libc, fd: number): number {
  const name = Buffer.alloc(NAME_SIZE);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(name.length);
  if (libc.getsockname(fd, name, length) !== 0) throw systemError(libc.errno(), 'getsockname');
  return decodeAddress(name).port;
}

/** Encodes an address that may have a zone (`fe80::1%eth0`). */
export function endpointBytes(libc: Libc, address: string, port: number): Buffer {
  const [ip = '', zone] = address.split('%');
  return encodeAddress(ip, port, zone === undefined ? 0 : interfaceIndex(libc, zone));
}

/**
 * The index of an interface in this network namespace, by name or decimal index (RFC 4007, section 11.2).
 * @throws ENODEV when the name is unknown
 */
export function interfaceIndex(libc: Libc, name: string): number {
  const index = libc.if_nametoindex(name);
  if (index > 0) return index;
  if (/^[1-9]\d{0,8}$/.test(name)) return Number(name);
  throw systemError(ERRNO.ENODEV, 'if_nametoindex');
}

/** The name of an interface in this network namespace, or its index when it no longer exists. */
export function interfaceName(libc: Libc, index: number): string {
  // IF_NAMESIZE, <net/if.h>
  const name = Buffer.alloc(16);
  libc.if_indextoname(index, name);
  return name[0] === 0 ? String(index) : name.toString('utf8', 0, name.indexOf(0));
}

/** The outgoing multicast interface: struct ip_mreqn for IPv4 (ip(7)), an index for IPv6 (ipv6(7)). */
export function outgoingInterface(libc: Libc, family: 4 | 6, on: NetInterface): Buffer {
  const bytes = Buffer.alloc(family === 4 ? 12 : 4);
  // Otherwise the source is the default route's address, and own datagrams are not recognized.
  const own = on.addresses.find((address) => address.family === 4);
  if (family === 4 && own) addressBytes(own.address).copy(bytes, 4);
  bytes.writeInt32LE(interfaceIndex(libc, on.name), bytes.length - 4);
  return bytes;
}

/** <linux/sockios.h> */
const SIOCOUTQ = 0x5411;

/** Bytes in the send queue of a TCP socket, which its peer has not acknowledged (tcp(7)). */
export function unacknowledged(libc: Libc, fd: number): number | undefined {
  const bytes = Buffer.alloc(4);
  return libc.ioctl(fd, SIOCOUTQ, bytes) === 0 ? bytes.readInt32LE(0) : undefined;
}
