import type { TlsCredentials } from 'mproxy-net';
import { readCredentials, type TlsClientOptions } from 'mproxy-net/tls';
import type { GatewayConfig, TargetConfig } from './config/types.js';

/** The files of a route's https upstreams; undefined: it has none. */
export function credentialFiles(target: TargetConfig): TlsClientOptions | undefined {
  if (target.kind !== 'upstream' || !target.upstreams.some((url) => url.startsWith('https:')))
    return undefined;
  const { tlsCa, tlsServername, tlsCert, tlsKey, tlsInsecure } = target;
  return { tlsCa, tlsServername, tlsCert, tlsKey, tlsInsecure: tlsInsecure === true };
}

/**
 * What the https upstreams of each route trust and are presented, by the number of the route. Routes with the same files share it, and so
 * their sessions.
 * @throws MPROXY_TLS
 */
export function readUpstreamCredentials({ routes }: GatewayConfig): (TlsCredentials | undefined)[] {
  const known = new Map<string, TlsCredentials>();
  return routes.map(({ target }) => {
    const files = credentialFiles(target);
    if (!files) return undefined;
    const key = JSON.stringify([files.tlsCa, files.tlsCert, files.tlsKey]);
    const credentials = known.get(key) ?? readCredentials(files);
    known.set(key, credentials);
    return credentials;
  });
}
