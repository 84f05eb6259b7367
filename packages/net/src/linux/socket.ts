import type { SocketAddress } from 'mproxy-base';
import type { NetInterface } from '../interfaces.js';
import { ERRNO, systemError } from './errno.js';
import { addressBytes, decodeAddress, encodeAddress, NAME_SIZE } from './layout.js';
import type { Libc } from './libc.js';

const AF_INET = 2;
const AF_INET6 = 10;
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

/** Connects anew: AF_UNSPEC first, which unties the socket from the old interface's index (connect(2), __udp_disconnect). */
export function reconnectSocket(libc: Libc, fd: number, to: SocketAddress): number {
  const nowhere = Buffer.alloc(NAME_SIZE);
  libc.connect(fd, nowhere, nowhere.length);
  return connectSocket(libc, fd, to);
}

/** The port a socket is bound to. */
export function localPort(libc: Libc, fd: number): number {
  const name = Buffer.alloc(NAME_SIZE);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(name.length);
  if (libc.getsockname(fd, name, length) !== 0) throw systemError(libc.errno(), 'getsockname');
  return decodeAddress(name).port;
}

/** A socket address of an address that may have a zone, as `fe80::1%eth0`. */
export function endpointBytes(libc: Libc, address: string, port: number): Buffer {
  const [ip = '', zone] = address.split('%');
  return encodeAddress(ip, port, zone === undefined ? 0 : interfaceIndex(libc, zone));
}

/**
 * The index of an interface in this network namespace, by its name; an index names itself (RFC 4007, section 11.2).
 * @throws ENODEV when there is none of that name
 */
export function interfaceIndex(libc: Libc, name: string): number {
  const index = libc.if_nametoindex(name);
  if (index > 0) return index;
  if (/^[1-9]\d{0,8}$/.test(name)) return Number(name);
  throw systemError(ERRNO.ENODEV, 'if_nametoindex');
}

/** The name of an interface in this network namespace; its index where there is none of that index any more. */
export function interfaceName(libc: Libc, index: number): string {
  // IF_NAMESIZE, <net/if.h>
  const name = Buffer.alloc(16);
  libc.if_indextoname(index, name);
  return name[0] === 0 ? String(index) : name.toString('utf8', 0, name.indexOf(0));
}

/** struct ip_mreqn (ip(7)) for IPv4, an index for IPv6 (ipv6(7)): the interface that groups leave by. */
export function outgoingInterface(libc: Libc, family: 4 | 6, on: NetInterface): Buffer {
  const bytes = Buffer.alloc(family === 4 ? 12 : 4);
  // Without its address the datagrams would carry that of the default route, and not be known as one's own.
  const own = on.addresses.find((address) => address.family === 4);
  if (family === 4 && own) addressBytes(own.address).copy(bytes, 4);
  bytes.writeInt32LE(interfaceIndex(libc, on.name), bytes.length - 4);
  return bytes;
}
