import { isIPv4 } from 'node:net';
import type { Connection } from 'mproxy-net';
import { addressBytes } from 'mproxy-net/linux/layout';
import type { Context } from './context.js';
import { Pending, type Result, whenDone } from './result.js';
import type { Layer } from './service.js';

/** What counts as one client: an IPv4 address, or the network of 64 bits of an IPv6 address, of which a host has all addresses. */
export function clientOf(address: string): string {
  return isIPv4(address) ? address : addressBytes(address).toString('hex', 0, 8);
}

/**
 * Limits the connections of one client, by the address of the context: it belongs within `proxyProtocol`. Those beyond it are closed.
 * Unix sockets are not limited.
 * @param onRefused told of each that is closed
 */
export function clientLimit(
  most: number,
  onRefused: (context: Context) => void = () => undefined,
): Layer<Connection, void> {
  const counts = new Map<string, number>();
  return (inner) => ({
    call(connection: Connection, context: Context): Result<void> {
      if (!context.peer) return inner.call(connection, context);
      const client = clientOf(context.peer.address);
      const count = counts.get(client) ?? 0;
      if (count >= most) {
        onRefused(context);
        connection.close();
        return;
      }
      counts.set(client, count + 1);
      const done = new Pending<void>();
      const ended = () => {
        const left = counts.get(client)! - 1;
        if (left > 0) counts.set(client, left);
        else counts.delete(client);
      };
      const failed = (error: unknown) => {
        ended();
        done.reject(error);
      };
      try {
        whenDone(
          inner.call(connection, context),
          () => {
            ended();
            done.resolve();
          },
          failed,
        );
      } catch (error) {
        failed(error);
      }
      return done;
    },
  });
}
