import type { Connection, ConnectOptions, TlsClient } from '../../streams.js';
import type { Tls } from '../tls/tls.js';
import type { SecureChannel } from './channel.js';
import { StreamConnection } from './connection.js';
import { Handshake, type HandshakeOptions } from './handshake.js';
import type { StreamParts } from './parts.js';

const CONNECT_MS = 10_000;

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
    const ends = { peer: parts.peerOf(fd), local: parts.localOf(fd) };
    const server = ends.peer ? `${ends.peer.address} ${ends.peer.port}` : '';
    channel = tls.client(client.credentials).connect(fd, client, server);
    await handshake(parts, fd, channel, { timeout, untilAccepted: client.untilAccepted }, signal);
    return new StreamConnection(parts, fd, channel, { ...ends, tls: channel.facts });
  } catch (error) {
    channel?.free();
    parts.libc.close(fd);
    throw error;
  }
}

async function handshake(
  parts: StreamParts,
  fd: number,
  channel: SecureChannel,
  options: HandshakeOptions,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  let aborted: () => void = () => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const outcome = { onSecured: resolve, onError: reject };
      const running = new Handshake(parts, fd, channel, options, outcome);
      aborted = () => running.cancel(signal?.reason);
      signal?.addEventListener('abort', aborted);
    });
  } finally {
    signal?.removeEventListener('abort', aborted);
  }
}
