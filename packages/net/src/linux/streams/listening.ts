import { BACKLOG, KEEPALIVE_MS } from '../../stream-defaults.js';
import type { ListenAddress, ShareOptions } from '../../streams.js';
import { ERRNO, systemError } from '../errno.js';
import type { Libc } from '../libc.js';
import { getOption, setOption } from '../options.js';
import { addressName, localAddress, openStreamSocket, tuneTcp } from './stream-socket.js';

/** <asm-generic/ioctls.h> */
const FIONBIO = 0x5421;

/** Opens a listening socket, or takes one that listens already. @throws the system's error */
export function openListening(libc: Libc, options: ShareOptions): number {
  const { at, backlog = BACKLOG, keepAlive = KEEPALIVE_MS.accepted } = options;
  if ('fd' in at) return at.shared ? at.fd : inherit(libc, at.fd, keepAlive);
  const fd = openStreamSocket(libc, at);
  try {
    bind(libc, fd, at);
    if (!('path' in at)) tuneTcp(libc, fd, keepAlive);
    if (libc.listen(fd, backlog) !== 0) throw systemError(libc.errno(), 'listen');
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function bind(libc: Libc, fd: number, at: Exclude<ListenAddress, { fd: number }>): void {
  const isIp = !('path' in at);
  // Connections of an earlier listener that are closing do not keep its port (TIME_WAIT, tcp(7)).
  if (isIp) setOption(libc, fd, 'SO_REUSEADDR', 1);
  if (isIp && at.address.includes(':')) setOption(libc, fd, 'IPV6_V6ONLY', at.ipv6Only ? 1 : 0);
  const name = addressName(libc, at);
  if (libc.bind(fd, name, name.length) !== 0) throw systemError(libc.errno(), 'listen');
}

/** Takes a socket that listens already. @throws EINVAL for any other descriptor */
function inherit(libc: Libc, fd: number, keepAlive: number): number {
  if (getOption(libc, fd, 'SO_ACCEPTCONN') === 0) throw systemError(ERRNO.EINVAL, 'accept');
  const on = Buffer.from([1, 0, 0, 0]);
  if (libc.ioctl(fd, FIONBIO, on) !== 0) throw systemError(libc.errno(), 'ioctl FIONBIO');
  if (localAddress(libc, fd)) tuneTcp(libc, fd, keepAlive);
  return fd;
}
