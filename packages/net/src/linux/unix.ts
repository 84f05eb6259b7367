import { systemError } from './errno.js';
import { AF_UNIX, encodeUnixName, PATH_SIZE } from './layout.js';
import type { Libc } from './libc.js';

const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/**
 * Sends datagrams to a UNIX socket, which Node does not support.
 * @param path the socket's file, or with a leading @ a name in the abstract namespace
 * @throws the system's error
 */
export function unixSender(libc: Libc, path: string): (text: string) => void {
  const name = Buffer.from(path);
  if (name.length >= PATH_SIZE) throw new Error('its path is too long');
  if (path.startsWith('@')) name[0] = 0;
  const address = encodeUnixName(name);
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError(libc.errno(), 'socket');
  return (text) => {
    const bytes = Buffer.from(text);
    const sent = libc.sendto(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, address, address.length);
    if (sent < 0) throw systemError(libc.errno(), 'sendto');
  };
}
