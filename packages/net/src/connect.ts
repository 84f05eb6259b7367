import { type SocketAddress, showAddress, throwInternal } from 'mproxy-base';
import { type Address, lacksZone, zoneNeeded } from './address.js';
import { familyOf, lookUp, resolveBind, zoneOf } from './resolve.js';
import type { Connection, Streams, TlsClient } from './streams.js';

/** How a `tls://` connection is secured. */
export interface TlsConnection extends Omit<TlsClient, 'serverName'> {
  /** Name for SNI and verification; default the host. */
  servername: string | undefined;
}

/**
 * Connects to an address by TCP, or by TLS. Resolves its name, and tries every answer.
 * @param signal cancels the attempt
 * @throws the error of the last answer; the signal's reason
 */
export async function connectTcp(
  streams: Streams,
  address: Address,
  tls: TlsConnection | undefined,
  signal: AbortSignal,
): Promise<Connection> {
  let lastError: unknown;
  for (const ip of await lookUp(address.host, signal)) {
    try {
      return await connectToIp(streams, address, ip, tls, signal);
    } catch (error) {
      throwInternal(error);
      lastError = error;
      if (signal.aborted) break;
    }
  }
  throw lastError;
}

/** The remote address of a connection. */
export function peerOf({ peer }: Connection): string {
  return peerName(peer);
}

/** An address of a peer, for users. */
export function peerName(peer: SocketAddress | undefined): string {
  return peer ? showAddress(peer) : 'an unknown address';
}

async function connectToIp(
  streams: Streams,
  address: Address,
  ip: string,
  tls: TlsConnection | undefined,
  signal: AbortSignal,
): Promise<Connection> {
  const { port, host, keys } = address;
  if (lacksZone(ip, address)) throw new Error(`${zoneNeeded(ip)}; write [${ip}%zone]:${port}`);
  const zone = zoneOf(address, ip);
  const bind = keys.bind === undefined ? undefined : await resolveBind(keys.bind, familyOf(ip), signal);
  return streams.connect({
    to: { address: zone === undefined ? ip : `${ip}%${zone}`, port },
    ...(bind && { bind }),
    ...(tls && { tls: tlsFor(host, tls) }),
    signal,
  });
}

/** How a connection to a host is secured. */
export function tlsFor(host: string, { servername, ...tls }: TlsConnection): TlsClient {
  return { ...tls, serverName: servername ?? host };
}
