import { type Connection, lookUp, type Streams } from 'mproxy-net';
import { type ClientCounts, clientLimit } from 'mproxy-service/client-limit';
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
import { AccessLog, type LogSink } from 'mproxy-service/layers/access-log';
import type { LayerSetup } from 'mproxy-service/layers/layer-type';
import { metrics } from 'mproxy-service/layers/metrics';
import { rewrite } from 'mproxy-service/layers/rewrite';
import { LAYERS } from 'mproxy-service/layers/types';
import { proxyProtocol } from 'mproxy-service/proxy-protocol';
import { Pending, whenDone } from 'mproxy-service/result';
import { router } from 'mproxy-service/router';
import { type Layer, type Service, stack } from 'mproxy-service/service';
import type {
  GatewayConfig,
  MiddlewareConfig,
  PortEncodingConfig,
  RouteConfig,
  UpstreamConfig,
} from './config/types.js';
import type { Layout } from './counters/layout.js';
import type { WorkerCounters } from './counters/worker-counters.js';
import { portRouter } from './port-router.js';
import type { UpstreamHealth } from './upstream-health.js';

/** What a stack works with: that of its worker. */
export interface StackParts {
  streams: Streams;
  deadlines: Deadlines;
  layout: Layout;
  counters: WorkerCounters;
  health: UpstreamHealth;
  /** Of the connections of each client; undefined: they are not limited. */
  clients: ClientCounts | undefined;
  /** Takes the lines of the access log, if there is one. */
  log: LogSink;
  /** Takes what a service threw. */
  onError(error: unknown): void;
}

/**
 * What serves the connections of a gateway, by listener: a stack of the services and layers of mproxy-service.
 * @throws MPROXY_USAGE, MPROXY_FILE and others of a layer that cannot work
 */
export function gatewayStack(config: GatewayConfig, parts: StackParts): Service<Connection, void>[] {
  const trusted = new TrustedProxies(config.trustedProxies);
  const setup: LayerSetup = { isTrusted: ({ connection }) => trusted.has(connection.peer?.address) };
  const { to: _, ...logOptions } = config.accessLog ?? { to: '' };
  const log = config.accessLog && new AccessLog({ ...logOptions, sink: parts.log });
  const service = stack<HttpRequest, HttpResponse, HttpContext>(
    [
      metrics(parts.counters),
      ...(log ? [log.layer] : []),
      forward({ trusted: config.trustedProxies }),
      ...layersOf(config.middlewares, setup),
    ],
    routes(config, parts, setup),
  );
  const server = httpServer(service, {
    ...{ deadlines: parts.deadlines, onError: parts.onError },
    onRejected(rejection, context) {
      parts.counters.rejected(rejection);
      log?.rejected(rejection, context);
    },
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
  return config.listen.map((listener, i) =>
    stack(
      [
        counted(parts.counters, i),
        ...(listener.proxyProtocol
          ? [proxyProtocol({ trusts: (peer) => trusted.has(peer?.address), deadlines: parts.deadlines })]
          : []),
        ...clientLimits(config, parts, trusted),
      ],
      server,
    ),
  );
}

/** Trusted proxies bring many clients through one address, so they are not limited. */
function clientLimits(
  { maxConnectionsPerIp: most }: GatewayConfig,
  { clients: counts, counters }: StackParts,
  trusted: TrustedProxies,
): Layer<Connection, void>[] {
  if (most === undefined || counts === undefined) return [];
  const exempts = (address: string) => trusted.has(address);
  return [clientLimit({ most, counts, exempts, onRefused: () => counters.connectionRefused() })];
}

/** Counts the connections of a listener. */
function counted(counters: WorkerCounters, listener: number): Layer<Connection, void> {
  return (inner) => ({
    call(connection, context) {
      const done = new Pending<void>();
      counters.connectionOpened(listener);
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

function routes(config: GatewayConfig, parts: StackParts, setup: LayerSetup): HttpService {
  if (config.portEncoding) return ports(config.portEncoding, config, parts);
  return router(
    config.routes.map((route) => {
      const { place, name, host, path, methods } = route;
      const service = stack<HttpRequest, HttpResponse, HttpContext>(
        layersOf(route.middlewares, setup),
        target(route, parts, setup),
      );
      return { place, host, path, methods, value: { name, service } };
    }),
  );
}

/** Requests whose host names a port. What the targets are is not known before, so they are not counted one by one. */
function ports(hosts: PortEncodingConfig, config: GatewayConfig, parts: StackParts): HttpService {
  const { streams, deadlines } = parts;
  const { upstreamTimeouts: timeouts } = config;
  return portRouter({
    ...{ hosts, lookUp },
    client: (url, lookUp) =>
      httpClient({ upstreams: [url], hostHeader: 'upstream', timeouts, streams, deadlines, lookUp }),
  });
}

function target({ target, path }: RouteConfig, parts: StackParts, setup: LayerSetup): HttpService {
  if (target.kind === 'upstream') return upstream(target, path, parts);
  const answering = LAYERS.get(target.kind)!.layer(target.config, setup);
  return answering({ call: (request) => answer(request, 404, 'nothing here') });
}

function upstream(config: UpstreamConfig, path: string, parts: StackParts): HttpService {
  const { streams, deadlines, layout, counters, health } = parts;
  const { upstreams, retries, timeouts, pool, hostHeader, sendProxy } = config;
  const client = httpClient({
    ...{ upstreams, retries, timeouts, pool, hostHeader, sendProxy, streams, deadlines },
    health: upstreams.map((url) => health.cells(layout.upstreams.indexOf(url))),
    observer: counters.upstreams(upstreams),
  });
  const { stripPrefix, replacePath, addPrefix } = config;
  const layers: HttpLayer[] = config.forwarded ? [forwarded()] : [];
  if (replacePath !== undefined)
    layers.push(rewrite({ replacePrefix: path, addPrefix: joined(addPrefix, replacePath) }));
  else if (stripPrefix !== undefined || addPrefix !== undefined)
    layers.push(rewrite({ stripPrefix, addPrefix }));
  return stack<HttpRequest, HttpResponse, HttpContext>(layers, client);
}

function joined(first = '', second: string): string {
  return first.replace(/\/$/, '') + second;
}

function layersOf(middlewares: readonly MiddlewareConfig[], setup: LayerSetup): HttpLayer[] {
  return middlewares.map(({ type, config }) => LAYERS.get(type)!.layer(config, setup));
}
