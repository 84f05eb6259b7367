import { CONNECT_MS } from '../../stream-defaults.js';
import type { Connection, ConnectOptions, TlsClient } from '../../streams.js';
import type { Tls } from '../tls/tls.js';
import { cancellable } from './cancellable.js';
import type { SecureChannel } from './channel.js';
import { StreamConnection } from './connection.js';
import { Handshake } from './handshake.js';
import type { StreamParts } from './parts.js';

/**
 * Starts TLS on a connected descriptor, which it takes (see {@link Connection.secure}).
 * @throws that of TLS, ETIMEDOUT, or the signal's reason; the descriptor is closed then
 */
export async function upgrade(
  parts: StreamParts,
  tls: Tls,
  fd: number,
  client: TlsClient,
  { timeout = CONNECT_MS, signal }: Pick<ConnectOptions, 'timeout' | 'signal'>,
): Promise<Connection> {
  let channel: SecureChannel | undefined;
  try {
    const [peer, local] = [parts.peerOf(fd), parts.localOf(fd)];
    const server = peer ? `${peer.address} ${peer.port}` : '';
    channel = tls.client(client.credentials).connect(fd, client, server);
    const secured = channel;
    const { untilAccepted } = client;
    await cancellable<void>(
      signal,
      (onSecured, onError) =>
        new Handshake(parts, fd, secured, { timeout, untilAccepted }, { onSecured, onError }),
    );
    return new StreamConnection(parts, fd, channel, { peer, local, tls: channel.facts });
  } catch (error) {
    channel?.free();
    parts.libc.close(fd);
    throw error;
  }
}
