import type { Connection, Streams, TlsCredentials } from 'mproxy-net';
import { lookUp } from 'mproxy-net/resolve';
import type { ClientLimitOptions } from 'mproxy-service/client-limit';
import type { Deadlines } from 'mproxy-service/deadlines';
import { answer } from 'mproxy-service/http/answer';
import { httpClient } from 'mproxy-service/http/client';
import { forward, forwarded } from 'mproxy-service/http/forward';
import { TrustedProxies } from 'mproxy-service/http/forward-client';
import type {
  HttpContext,
  HttpLayer,
  HttpRequest,
  HttpResponse,
  HttpService,
} from 'mproxy-service/http/message';
import { httpServer } from 'mproxy-service/http/server';
import type { LogSink } from 'mproxy-service/layers/access-log';
import type { LayerSetup } from 'mproxy-service/layers/layer-type';
import { loadLayer } from 'mproxy-service/layers/load';
import { metrics } from 'mproxy-service/layers/metrics';
import { router } from 'mproxy-service/router';
import { type Service, stack } from 'mproxy-service/service';
import type {
  GatewayConfig,
  MiddlewareConfig,
  PortEncodingConfig,
  RouteConfig,
  UpstreamConfig,
} from './config/types.js';
import { connectionLayers } from './connection-layers.js';
import type { Layout } from './counters/layout.js';
import type { WorkerCounters } from './counters/worker-counters.js';
import type { ListenerSecurity } from './listener-security.js';
import { clientLayers, securityLayers } from './security-layers.js';
import type { UpstreamHealth } from './upstream-health.js';

/** What a stack works with: that of its worker. */
export interface StackParts {
  streams: Streams;
  deadlines: Deadlines;
  layout: Layout;
  counters: WorkerCounters;
  health: UpstreamHealth;
  /** Of the connections of each client; undefined: they are not limited. */
  clients: ClientLimitOptions | undefined;
  /** Of TLS listeners, if there are any. */
  security: ListenerSecurity | undefined;
  /** Of https upstreams, by the number of the route. They may be replaced. */
  credentials: readonly (TlsCredentials | undefined)[];
  /** Told why an upstream could not be connected to. */
  onConnectError(upstream: string, error: Error): void;
  /** Takes the lines of the access log, if there is one. */
  log: LogSink;
  /** Takes what a service threw. */
  onError(error: unknown): void;
}

/**
 * What serves the connections of a gateway, by listener: a stack of the services and layers of mproxy-service. Only those that it has are
 * loaded.
 * @throws MPROXY_USAGE, MPROXY_FILE and others of a layer that cannot work
 */
export async function gatewayStack(
  config: GatewayConfig,
  parts: StackParts,
): Promise<Service<Connection, void>[]> {
  const trusted = new TrustedProxies(config.trustedProxies);
  const setup: LayerSetup = { isTrusted: ({ connection }) => trusted.has(connection.peer?.address) };
  const log = await accessLog(config, parts);
  const service = stack<HttpRequest, HttpResponse, HttpContext>(
    [
      metrics(parts.counters),
      ...(log ? [log.layer] : []),
      ...(await securityLayers(config, parts)),
      forward({ trusted: config.trustedProxies }),
      ...(await clientLayers(config, parts, setup)),
      ...(await layersOf(config.middlewares, setup)),
    ],
    await routes(config, parts, setup),
  );
  const server = httpServer(service, {
    ...{ deadlines: parts.deadlines, onError: parts.onError },
    onRejected(rejection, context) {
      parts.counters.rejected(rejection);
      log?.rejected(rejection, context);
    },
    upgrades: [...(config.protocols.includes('websocket') ? ['websocket'] : []), ...config.upgrades],
    limits: {
      line: config.limits.requestLine,
      section: config.limits.headerSection,
      fields: config.limits.headerFields,
      chunks: config.limits.chunkOverhead,
      body: config.limits.maxBody ?? Number.POSITIVE_INFINITY,
    },
    timeouts: {
      head: config.timeouts.requestHead,
      idle: config.timeouts.idle,
      body: config.timeouts.requestBody,
      bodyRate: config.timeouts.requestBodyRate,
      send: config.timeouts.send,
    },
  });
  const connections = await connectionLayers(config, parts, trusted);
  return config.listen.map((_, i) => stack(connections[i]!, server));
}

async function accessLog({ accessLog }: GatewayConfig, { log }: StackParts) {
  if (!accessLog) return undefined;
  const { AccessLog } = await import('mproxy-service/layers/access-log');
  const { to: _, ...options } = accessLog;
  return new AccessLog({ ...options, sink: log });
}

async function routes(config: GatewayConfig, parts: StackParts, setup: LayerSetup): Promise<HttpService> {
  if (config.service !== undefined) return (await import('./module-service.js')).loadService(config.service);
  if (config.portEncoding) return ports(config.portEncoding, config, parts);
  const all = config.routes.map(async (route, i) => {
    const { place, name, host, path, methods } = route;
    const service = stack<HttpRequest, HttpResponse, HttpContext>(
      await layersOf(route.middlewares, setup),
      await target(route, i, parts, setup),
    );
    return { place, host, path, methods, value: { name, service } };
  });
  return router(await Promise.all(all));
}

/** Requests whose host names a port. What the targets are is not known before, so they are not counted one by one. */
async function ports(
  hosts: PortEncodingConfig,
  config: GatewayConfig,
  parts: StackParts,
): Promise<HttpService> {
  const { portRouter } = await import('./port-router.js');
  const { streams, deadlines } = parts;
  const { upstreamTimeouts: timeouts } = config;
  return portRouter({
    ...{ hosts, lookUp },
    client: (url, lookUp) =>
      httpClient({ upstreams: [url], hostHeader: 'upstream', timeouts, streams, deadlines, lookUp }),
  });
}

async function target(
  { target, path }: RouteConfig,
  route: number,
  parts: StackParts,
  setup: LayerSetup,
): Promise<HttpService> {
  if (target.kind === 'upstream') return upstream(target, path, route, parts);
  const answering = (await loadLayer(target.kind)).layer(target.config, setup);
  return answering({ call: (request) => answer(request, 404, 'nothing here') });
}

async function upstream(
  config: UpstreamConfig,
  path: string,
  route: number,
  parts: StackParts,
): Promise<HttpService> {
  const { streams, deadlines, layout, counters, health, onConnectError } = parts;
  const { tlsServername: serverName, tlsInsecure: insecure } = config;
  const tls = {
    ...{ serverName, insecure },
    get credentials() {
      return parts.credentials[route]!;
    },
  };
  const { upstreams, retries, timeouts, pool, hostHeader, sendProxy } = config;
  const client = httpClient({
    ...{ upstreams, retries, timeouts, pool, hostHeader, sendProxy, streams, deadlines },
    health: upstreams.map((url) => health.cells(layout.upstreams.indexOf(url))),
    tls: parts.credentials[route] && tls,
    observer: counters.upstreams(upstreams, onConnectError),
  });
  const { stripPrefix, replacePath, addPrefix } = config;
  const layers: HttpLayer[] = config.forwarded ? [forwarded()] : [];
  if ((replacePath ?? stripPrefix ?? addPrefix) !== undefined) {
    const { rewrite } = await import('mproxy-service/layers/rewrite');
    const replaced = replacePath !== undefined && {
      replacePrefix: path,
      addPrefix: joined(addPrefix, replacePath),
    };
    layers.push(rewrite(replaced || { stripPrefix, addPrefix }));
  }
  return stack<HttpRequest, HttpResponse, HttpContext>(layers, client);
}

function joined(first = '', second: string): string {
  return first.replace(/\/$/, '') + second;
}

function layersOf(middlewares: readonly MiddlewareConfig[], setup: LayerSetup): Promise<HttpLayer[]> {
  return Promise.all(
    middlewares.map(async ({ type, config }) => (await loadLayer(type)).layer(config, setup)),
  );
}
