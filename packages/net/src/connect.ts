import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, TLSSocket } from 'node:tls';
import { showAddress, throwInternal } from 'mproxy-base';
import { type Address, lacksZone, zoneNeeded } from './address.js';
import { familyOf, lookUp, resolveBind, zoneOf } from './resolve.js';

/** Limit on connecting to one address, the TLS handshake included, in milliseconds. */
const CONNECT_MS = 10_000;
/** How long a server's session ticket is awaited, in milliseconds. */
const ACCEPT_MS = 300;
/** Idle time before the first keepalive probe, in milliseconds. */
const KEEPALIVE_MS = 30_000;

/** How a `tls://` connection is secured. */
export interface TlsConnection {
  context: SecureContext;
  /** Name for SNI and verification; default the host. */
  servername: string | undefined;
  insecure: boolean;
}

/**
 * Connects to an address by TCP, or by TLS. Resolves its name, and tries every answer.
 * @param signal cancels the attempt
 * @throws the error of the last answer; the signal's reason
 */
export async function connectTcp(
  address: Address,
  tls: TlsConnection | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  let lastError: unknown;
  for (const ip of await lookUp(address.host, signal)) {
    try {
      return await connectToIp(address, ip, tls, signal);
    } catch (error) {
      throwInternal(error);
      lastError = error;
      if (signal.aborted) break;
    }
  }
  throw lastError;
}

/**
 * With TLS 1.3 a client is connected before the server has verified it (RFC 8446, section 2): waits for the server's first
 * message, its session ticket, or a moment where it sends none.
 * @throws the error, or why the connection ended
 */
export async function untilAccepted(socket: Socket, signal: AbortSignal): Promise<void> {
  if (!(socket instanceof TLSSocket) || socket.getProtocol() !== 'TLSv1.3') return;
  await new Promise<void>((resolve, reject) => {
    const accepted = () => {
      clearTimeout(timer);
      socket.off('session', accepted);
      for (const event of ['error', 'close']) socket.off(event, ended);
      signal.removeEventListener('abort', accepted);
      // 'session' is emitted inside SSL_read: a write there would corrupt the connection.
      setImmediate(resolve);
    };
    const ended = (error?: Error | boolean) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', accepted);
      reject(error instanceof Error ? error : new Error('closed by the server after the handshake'));
    };
    const timer = setTimeout(accepted, ACCEPT_MS);
    socket.on('session', accepted);
    for (const event of ['error', 'close']) socket.on(event, ended);
    signal.addEventListener('abort', accepted, { once: true });
  });
}

/** The remote address of a connection. */
export function peerOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return showAddress({ address: remoteAddress, port: remotePort });
}

async function connectToIp(
  address: Address,
  ip: string,
  tls: TlsConnection | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const { port, host, keys } = address;
  if (lacksZone(ip, address)) throw new Error(`${zoneNeeded(ip)}; write [${ip}%zone]:${port}`);
  const zone = zoneOf(address, ip);
  const bind = keys.bind === undefined ? undefined : await resolveBind(keys.bind, familyOf(ip), signal);
  const socket = connect({
    host: zone === undefined ? ip : `${ip}%${zone}`,
    port,
    ...(bind && { localAddress: bind.address, localPort: bind.port }),
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_MS,
    noDelay: true,
  });
  const connection = tls ? secured(socket, host, tls) : socket;
  const stop = () => connection.destroy();
  signal.addEventListener('abort', stop);
  try {
    await opened(connection, tls ? 'secureConnect' : 'connect');
    return connection;
  } catch (error) {
    socket.destroy();
    connection.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** An IP address is verified but never sent as SNI (RFC 6066, section 3). */
function secured(socket: Socket, host: string, { context, servername = host, insecure }: TlsConnection) {
  return connectTls({
    socket,
    secureContext: context,
    rejectUnauthorized: !insecure,
    host: servername,
    ...(!isIP(servername) && { servername }),
    minVersion: 'TLSv1.2',
  });
}

function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const timeout = Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' });
    const timer = setTimeout(() => socket.destroy(timeout), CONNECT_MS);
    const failed = (error?: Error) => {
      clearTimeout(timer);
      reject(error ?? new Error('closed before it was ready'));
    };
    socket.once('error', failed);
    const closed = () => failed();
    socket.once('close', closed);
    socket.once(event, () => {
      clearTimeout(timer);
      socket.off('error', failed);
      socket.off('close', closed);
      // The caller learns of later errors by 'close' or by its read loop.
      socket.on('error', () => undefined);
      resolve();
    });
  });
}
