import { createSocket, type Socket } from 'node:dgram';
import type { SocketAddress } from 'mproxy-base';
import { ENGINE_NAME } from '../engine-flag.js';
import type { NetInterface } from '../interfaces.js';

/** Creates a socket that resolves no names: every address given to it is an IP address. */
export function makeSocket(family: 4 | 6, options: { reuseAddr?: boolean; ipv6Only?: boolean } = {}): Socket {
  return createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    lookup: (host, _options, callback) => callback(null, host, family),
    ...options,
  });
}

/** Binds, and rejects with the system's error. */
export function bind(socket: Socket, { address, port }: SocketAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}

/** The address a socket is bound to, IPv4-mapped as IPv4. */
export function localAddressOf(socket: Socket): SocketAddress {
  const { address, port } = socket.address();
  return { address: plainAddress(address), port };
}

/** An IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) as IPv4; any other as it is. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** Sets a kernel buffer's size. @returns the granted size in bytes; Linux reports twice that (socket(7)) */
export function tuneBuffer(socket: Socket, which: 'Recv' | 'Send', bytes: number): number {
  socket[`set${which}BufferSize`](bytes);
  const reported = socket[`get${which}BufferSize`]();
  return process.platform === 'linux' ? reported / 2 : reported;
}

/** How node:dgram identifies an interface: by its address in IPv4, by its zone in IPv6. */
export function dgramInterface(family: 4 | 6, { name, addresses }: NetInterface): string {
  if (family === 6) return `::%${name}`;
  const own = addresses.find((address) => address.family === 4);
  // libuv's IP_ADD_MEMBERSHIP identifies an interface by its address (ip(7): ip_mreq).
  if (!own)
    throw new Error(
      `interface ${name} has no IPv4 address, which the node engine needs; use ${ENGINE_NAME} linux`,
    );
  return own.address;
}
