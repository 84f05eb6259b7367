import type { Connection, Streams } from 'mproxy-net';
import { chooseEngine } from 'mproxy-net/engine';
import { lookUp } from 'mproxy-net/resolve';
import { timedOut } from 'mproxy-net/socket-errors';
import { connectToAny, interleave } from './race.js';
import type { Service } from './service.js';

/** Where a connection goes: a name or an IP address with a port, or a Unix socket. */
export type Target = { host: string; port: number } | { path: string };

/** Resolves a name to IP addresses. @throws the resolver's error; the signal's reason */
export type LookUp = (host: string, signal: AbortSignal) => Promise<string[]>;

export interface ConnectorOptions {
  /** Default: those of the engine that `chooseEngine('auto')` selects. */
  streams?: Streams;
  /** Limit on resolving and connecting together, in milliseconds. Default: 5,000. */
  timeout?: number;
  /** Default: getaddrinfo(3). */
  lookUp?: LookUp;
}

/** Limit on connecting, in milliseconds. */
export const CONNECT_MS = 5000;

/**
 * A service that connects: by TCP to one of the addresses of a name (RFC 8305), or to a Unix socket. Its result is rejected with the
 * system's error, that of the resolver, ETIMEDOUT, or why nobody waits any more.
 */
export function tcpConnector(options: ConnectorOptions = {}): Service<Target, Connection> {
  const { timeout = CONNECT_MS, lookUp: resolve = lookUp } = options;
  const streams = options.streams ?? chooseEngine('auto').engine.streams;
  return {
    async call(target, context) {
      const limit = new AbortController();
      context.onAbort((error) => limit.abort(error));
      const timer = setTimeout(() => limit.abort(timedOut('timed out')), timeout);
      try {
        if ('path' in target) return await streams.connect({ to: target, timeout, signal: limit.signal });
        const ips = interleave(await resolve(target.host, limit.signal));
        const addresses = ips.map((address) => ({ address, port: target.port }));
        return (await connectToAny(streams, addresses, { timeout, signal: limit.signal })).connection;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
