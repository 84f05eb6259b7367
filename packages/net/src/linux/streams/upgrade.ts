import type { Connection, ConnectOptions, TlsClient } from '../../streams.js';
import type { Tls } from '../tls/tls.js';
import { StreamConnection } from './connection.js';
import { Handshake } from './handshake.js';
import type { StreamParts } from './parts.js';

const CONNECT_MS = 10_000;

/**
 * Starts TLS on a connected descriptor, which it takes (see {@link Connection.secure}).
 * @throws that of TLS, ETIMEDOUT, or the signal's reason; the descriptor is closed then
 */
export function upgrade(
  parts: StreamParts,
  tls: Tls,
  fd: number,
  client: TlsClient,
  { timeout = CONNECT_MS, signal }: Pick<ConnectOptions, 'timeout' | 'signal'>,
): Promise<Connection> {
  const { libc } = parts;
  const ends = { peer: parts.peerOf(fd), local: parts.localOf(fd) };
  return new Promise<Connection>((resolve, reject) => {
    signal?.throwIfAborted();
    const server = ends.peer ? `${ends.peer.address} ${ends.peer.port}` : '';
    const channel = tls.client(client.credentials).connect(fd, client, server);
    const aborted = () => handshake.cancel(signal?.reason);
    const over = () => signal?.removeEventListener('abort', aborted);
    const fail = (error: unknown) => {
      over();
      channel.free();
      reject(error);
    };
    const { untilAccepted } = client;
    const handshake = new Handshake(
      parts,
      fd,
      channel,
      { timeout, untilAccepted },
      {
        onError: fail,
        onSecured: () => {
          over();
          resolve(new StreamConnection(parts, fd, channel, { ...ends, tls: channel.facts }));
        },
      },
    );
    signal?.addEventListener('abort', aborted);
  }).catch((error) => {
    libc.close(fd);
    throw error;
  });
}
