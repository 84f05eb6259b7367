import { connect as connectSocket, isIP, Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { timedOut } from '../socket-errors.js';
import { ACCEPT_MS, CONNECT_MS, KEEPALIVE_MS } from '../stream-defaults.js';
import type { StreamOpeners } from '../stream-openers.js';
import type { Connection, ConnectOptions, TlsClient, TlsSite } from '../streams.js';
import { NodeConnection, ReceiveBuffer, type Unacknowledged } from './connection.js';
import { noticeCut } from './cut.js';
import { NodeStreamListener } from './stream-listener.js';
import { clientContext } from './tls-contexts.js';

type Waiting = Pick<ConnectOptions, 'timeout' | 'signal'>;

/** Opens stream sockets on node:net and node:tls. */
export function nodeOpeners(unacknowledged?: Unacknowledged): StreamOpeners {
  const engine = { unacknowledged, secure };
  const connection = (raw: Socket, stream: Socket, site?: TlsSite) =>
    new NodeConnection(raw, stream, engine, undefined, site);

  async function secure(raw: Socket, tls: TlsClient, options: Waiting): Promise<Connection> {
    try {
      const stream = secured(raw, tls);
      await ready(stream, options, tls.untilAccepted);
      return connection(raw, stream);
    } catch (error) {
      raw.destroy();
      throw error;
    }
  }

  return {
    listen: (options) => new NodeStreamListener(options, connection).open(),
    async connect({ to, bind, keepAlive = KEEPALIVE_MS.connected, tls, ...options }) {
      // Invalid credentials are found before anything is opened.
      if (tls) clientContext(tls.credentials);
      const receiveBuffer = tls ? undefined : new ReceiveBuffer();
      const raw = connectSocket({
        ...('path' in to ? to : { host: to.address, port: to.port }),
        ...(bind && { localAddress: bind.address, localPort: bind.port }),
        ...{ allowHalfOpen: true, keepAlive: true, keepAliveInitialDelay: keepAlive, noDelay: true },
        ...(receiveBuffer && { onread: receiveBuffer }),
      });
      if (tls) return secure(raw, tls, options);
      raw.pause();
      await ready(raw, options);
      return new NodeConnection(raw, raw, engine, receiveBuffer);
    },
    secure: (fd, tls, options) => secure(new Socket({ fd, allowHalfOpen: true }), tls, options),
  };
}

function secured(socket: Socket, { credentials, serverName, insecure, alpn }: TlsClient): TLSSocket {
  const stream = connectTls({
    socket,
    secureContext: clientContext(credentials),
    rejectUnauthorized: !insecure,
    host: serverName,
    ...(!isIP(serverName) && { servername: serverName }),
    ...(alpn && { ALPNProtocols: [...alpn] }),
  });
  noticeCut(stream, socket);
  return stream;
}

/**
 * Waits until a socket is connected, and secured if it is a TLS socket.
 * @throws its error, ETIMEDOUT or the signal's reason; the socket is then destroyed
 */
async function ready(
  stream: Socket,
  { timeout = CONNECT_MS, signal }: Waiting,
  untilAccepted = false,
): Promise<void> {
  const late = () => stream.destroy(timedOut('timed out'));
  const aborted = () => stream.destroy();
  const timer = setTimeout(late, timeout);
  signal?.addEventListener('abort', aborted);
  // An error without a listener would end the program; a connection also looks for those before it.
  stream.on('error', () => undefined);
  try {
    signal?.throwIfAborted();
    await happens(stream, stream instanceof TLSSocket ? 'secureConnect' : 'connect');
    if (untilAccepted && (stream as TLSSocket).getProtocol() === 'TLSv1.3') await accepted(stream);
  } catch (error) {
    stream.destroy();
    throw signal?.aborted ? signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', aborted);
  }
}

/** The server's session ticket, or the time for it has passed. */
async function accepted(stream: Socket): Promise<void> {
  const over = new AbortController();
  const passed = wait(ACCEPT_MS, undefined, { signal: over.signal });
  try {
    await Promise.race([happens(stream, 'session', 'closed by the server after the handshake'), passed]);
  } finally {
    over.abort();
  }
  // 'session' is emitted inside SSL_read: a write there would corrupt the connection.
  await nextTurn();
}

/** Resolves at an event of a socket. @throws its error, or that it closed first */
function happens(stream: Socket, event: string, closed = 'closed before it was ready'): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: Error | boolean) => {
      stream.off(event, done);
      stream.off('close', end);
      reject(error instanceof Error ? error : new Error(closed));
    };
    const done = () => {
      stream.off('error', end);
      stream.off('close', end);
      resolve();
    };
    stream.once('error', end);
    stream.once('close', end);
    stream.once(event, done);
  });
}
