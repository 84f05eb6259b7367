import { isIPv6 } from 'node:net';
import type { SocketAddress } from 'mproxy-base';
import type { Connection } from 'mproxy-net';
import { Pending, whenDone } from './result.js';
import type { Layer } from './service.js';

/** Counts the connections of clients. */
export interface ClientCounts {
  /** One more. @returns how many there are with it */
  add(client: string): number;
  /** One less. */
  remove(client: string): void;
}

export interface ClientLimitOptions {
  /** Connections of one client at the same time. */
  most: number;
  /** Default: of this layer alone. */
  counts?: ClientCounts;
  /** Clients that are not limited, such as proxies that many come through. Default: none. */
  exempts?(address: string): boolean;
  /** A connection was refused. */
  onRefused?(): void;
}

/** Closes connections beyond a limit for each client at once. IPv6 clients are counted by their /64; peers of Unix sockets are not. */
export function clientLimit(options: ClientLimitOptions): Layer<Connection, void> {
  const admit = clientAdmission(options);
  return (inner) => ({
    call(connection, context) {
      const admitted = admit(context.peer);
      if (admitted === true) return inner.call(connection, context);
      if (admitted === false) {
        connection.close();
        return undefined;
      }
      const done = new Pending<void>();
      const failed = (error: unknown) => {
        admitted();
        done.reject(error);
      };
      const ended = () => {
        admitted();
        done.resolve();
      };
      try {
        whenDone(inner.call(connection, context), ended, failed);
      } catch (error) {
        failed(error);
      }
      return done;
    },
  });
}

/**
 * The same limit for connections in their TLS handshake, with the same `counts`: see `admit` of ServerOptions.
 * @returns admits a peer; a function is to be called when it has left, true: it is not limited
 */
export function clientAdmission({
  most,
  counts = new MapCounts(),
  exempts = () => false,
  onRefused,
}: ClientLimitOptions): (peer: SocketAddress | undefined) => boolean | (() => void) {
  return (peer) => {
    const address = peer?.address;
    if (address === undefined || exempts(address)) return true;
    const client = clientOf(address);
    if (counts.add(client) <= most) return () => counts.remove(client);
    counts.remove(client);
    onRefused?.();
    return false;
  };
}

/** What an address is counted as: an IPv4 address, or the first four groups of an IPv6 address, which one customer has (RFC 6177). */
export function clientOf(address: string): string {
  const [ip = ''] = address.split('%');
  if (!isIPv6(ip)) return ip;
  const [head = '', tail] = ip.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail === undefined) return groups.slice(0, 4).join(':');
  const rest = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - groups.length - rest.length }, () => '0');
  return [...groups, ...zeros, ...rest].slice(0, 4).join(':');
}

class MapCounts implements ClientCounts {
  readonly #counts = new Map<string, number>();

  add(client: string): number {
    const count = (this.#counts.get(client) ?? 0) + 1;
    this.#counts.set(client, count);
    return count;
  }

  remove(client: string): void {
    const count = this.#counts.get(client)! - 1;
    if (count > 0) this.#counts.set(client, count);
    else this.#counts.delete(client);
  }
}
