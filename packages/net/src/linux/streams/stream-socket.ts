import type { SocketAddress } from 'mproxy-base';
import { ERRNO, systemError } from '../errno.js';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  decodeSocketAddress,
  encodeUnixName,
  NAME_SPACE,
  PATH_SIZE,
} from '../layout.js';
import type { Libc } from '../libc.js';
import { setOption } from '../options.js';
import { endpointBytes, interfaceName } from '../socket.js';

// <sys/socket.h>
const SOCK_STREAM = 1;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

/** Keepalive probes after the first one, as libuv sends them: so many, a second apart; then the peer is lost. */
const PROBES = 10;

type Address = SocketAddress | { path: string };

/** @throws the system's error */
export function openStreamSocket(libc: Libc, address: Address): number {
  const family = 'path' in address ? AF_UNIX : address.address.includes(':') ? AF_INET6 : AF_INET;
  const fd = libc.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError(libc.errno(), 'socket');
  return fd;
}

/** An address as the kernel takes it. @throws ENAMETOOLONG for a path, ENODEV for a zone */
export function addressName(libc: Libc, address: Address): Buffer {
  if (!('path' in address)) return endpointBytes(libc, address.address, address.port);
  const path = Buffer.from(address.path);
  const name = encodeUnixName(path);
  if (name.length - 2 > PATH_SIZE) throw systemError(ERRNO.ENAMETOOLONG, 'bind or connect');
  return name;
}

/** The local address of a socket; undefined: a Unix socket. @throws the system's error */
export function localAddress(libc: Libc, fd: number): SocketAddress | undefined {
  const name = Buffer.alloc(NAME_SPACE);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(NAME_SPACE);
  if (libc.getsockname(fd, name, length) !== 0) throw systemError(libc.errno(), 'getsockname');
  if (name.readUInt16LE(0) === AF_UNIX) return undefined;
  return decodeSocketAddress(name, 0, (index) => interfaceName(libc, index));
}

/** Sends small writes at once, and probes an idle peer after this time in milliseconds. Accepted sockets inherit it. */
export function tuneTcp(libc: Libc, fd: number, keepAlive: number): void {
  setOption(libc, fd, 'TCP_NODELAY', 1);
  setOption(libc, fd, 'SO_KEEPALIVE', 1);
  setOption(libc, fd, 'TCP_KEEPIDLE', Math.max(1, Math.floor(keepAlive / 1000)));
  setOption(libc, fd, 'TCP_KEEPINTVL', 1);
  setOption(libc, fd, 'TCP_KEEPCNT', PROBES);
}
