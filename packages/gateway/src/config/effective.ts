import type { Place } from 'mproxy-service/config-place';
import { readTable } from 'mproxy-service/config-table';
import { certificatesOf, listenersOf } from './listeners-of.js';
import type { DocumentValues, RouteValues } from './schema.js';
import { ANSWERS, POOL } from './schema-route.js';
import type { GatewayConfig, PoolConfig, RouteConfig, TargetConfig, UpstreamTimeouts } from './types.js';

const IDLE_MS = 75_000;
const RETRIES = 1;

/** The effective configuration of a document without problems. */
export function effective(values: DocumentValues, document: Place): GatewayConfig {
  const { connectionTimeoutMs, timeouts, routes, schema: _, host: _h, port: _p, tls: _t, ...same } = values;
  const { connect, responseHead, responseBody, eventStream, tunnel, ...client } = timeouts;
  const upstreamTimeouts = { connect, responseHead, responseBody, eventStream, tunnel };
  return {
    ...same,
    listen: listenersOf(values, document),
    certificates: certificatesOf(values, document),
    timeouts: { ...client, idle: client.idle ?? connectionTimeoutMs ?? IDLE_MS },
    upstreamTimeouts,
    routes: routes.map((route) => routeOf(route, upstreamTimeouts, document)),
  };
}

function routeOf(route: RouteValues, timeouts: UpstreamTimeouts, document: Place): RouteConfig {
  const { place, host, path, methods, middlewares } = route;
  const target = targetOf(route, timeouts, document);
  return { place, name: `${host ?? ''}${path}`, host, path, methods, middlewares, target };
}

function targetOf(route: RouteValues, timeouts: UpstreamTimeouts, document: Place): TargetConfig {
  for (const kind of ANSWERS) {
    const config = route[kind];
    if (config) return { kind, config };
  }
  const { upstream, upstreams = [], loadBalance = 'round_robin', retries = RETRIES } = route;
  const { hostHeader = 'client', forwarded = false } = route;
  const { sendProxy, stripPrefix, replacePath, addPrefix } = route;
  const { connect, responseHead, responseBody, eventStream, tunnel } = route.timeouts ?? {};
  const { tlsCa, tlsServername, tlsCert, tlsKey, tlsInsecure } = route;
  return {
    kind: 'upstream',
    upstreams: upstream === undefined ? upstreams : [upstream],
    loadBalance,
    retries,
    timeouts: {
      connect: connect ?? timeouts.connect,
      responseHead: responseHead ?? timeouts.responseHead,
      responseBody: responseBody ?? timeouts.responseBody,
      eventStream: eventStream ?? timeouts.eventStream,
      tunnel: tunnel ?? timeouts.tunnel,
    },
    pool: route.pool ?? defaultPool(document),
    ...{ hostHeader, forwarded, sendProxy, stripPrefix, replacePath, addPrefix },
    ...{ tlsCa, tlsServername, tlsCert, tlsKey, tlsInsecure },
  };
}

export function defaultPool(document: Place): PoolConfig {
  return readTable(POOL, {}, document)!;
}
