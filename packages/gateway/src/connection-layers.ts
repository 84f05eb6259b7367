import type { Connection } from 'mproxy-net';
import type { ClientCounts, ClientLimitOptions } from 'mproxy-service/client-limit';
import type { Deadlines } from 'mproxy-service/deadlines';
import { TrustedProxies } from 'mproxy-service/http/forward-client';
import { Pending, whenDone } from 'mproxy-service/result';
import type { Layer } from 'mproxy-service/service';
import type { GatewayConfig } from './config/types.js';
import type { WorkerCounters } from './counters/worker-counters.js';

interface Parts {
  counters: WorkerCounters;
  deadlines: Deadlines;
  /** Undefined: the connections of clients are not limited. */
  clients: ClientLimitOptions | undefined;
}

/** How many connections each client may have; undefined: any number. Trusted proxies bring many clients through one address, so they are not limited. */
export function clientLimits(
  { maxConnectionsPerIp: most, trustedProxies }: GatewayConfig,
  counters: WorkerCounters,
  counts: ClientCounts | undefined,
): ClientLimitOptions | undefined {
  if (most === undefined || counts === undefined) return undefined;
  const trusted = new TrustedProxies(trustedProxies);
  const exempts = (address: string) => trusted.has(address);
  return { most, counts, exempts, onRefused: () => counters.connectionRefused() };
}

/** The layers around the HTTP server, by listener. */
export async function connectionLayers(
  config: GatewayConfig,
  parts: Parts,
  trusted: TrustedProxies,
): Promise<Layer<Connection, void>[][]> {
  const limits = parts.clients
    ? [(await import('mproxy-service/client-limit')).clientLimit(parts.clients)]
    : [];
  return Promise.all(
    config.listen.map(async ({ tls, proxyProtocol }, i) => [
      counted(parts.counters, i),
      // In front of TLS, the listener reads them.
      ...(proxyProtocol && !tls ? [await proxyHeaders(parts, trusted)] : []),
      ...limits,
    ]),
  );
}

async function proxyHeaders({ deadlines }: Parts, trusted: TrustedProxies) {
  const { proxyProtocol } = await import('mproxy-service/proxy-protocol');
  return proxyProtocol({ trusts: (peer) => trusted.has(peer?.address), deadlines });
}

/** Counts the connections of a listener, and the TLS handshakes that they begin with. */
function counted(counters: WorkerCounters, listener: number): Layer<Connection, void> {
  return (inner) => ({
    call(connection, context) {
      const done = new Pending<void>();
      counters.connectionOpened(listener);
      if (context.tls) counters.handshake(listener, context.tls.resumed ? 'resumed' : 'full');
      const ended = (end: () => void) => {
        counters.connectionClosed(listener);
        end();
      };
      try {
        whenDone(
          inner.call(connection, context),
          () => ended(() => done.resolve()),
          (error) => ended(() => done.reject(error)),
        );
      } catch (error) {
        ended(() => done.reject(error));
      }
      return done;
    },
  });
}
