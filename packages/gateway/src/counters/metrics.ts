import type { MetricFamily, SinkCounts } from 'mproxy-flow';
import { shownBuckets } from './durations.js';
import type { GatewayCounters } from './gateway-counters.js';
import {
  HANDSHAKES,
  LISTENER,
  NO_ROUTE,
  RESULTS,
  ROUTE,
  STATUS_CLASSES,
  UPSTREAM,
  VERSIONS,
  WORKER,
} from './layout.js';

/** What is counted beside requests, connections and upstreams. */
export interface OtherCounts {
  running: number;
  restarts: number;
  /** Requests of workers that ended. */
  requestsLost: number;
  /** What the access log has written and dropped, if there is one. */
  log: Pick<SinkCounts, 'datagrams' | 'bytes' | 'dropped'> | undefined;
  /** Whether an upstream is in use, by its number; else it is ejected. */
  isUp(upstream: number): boolean;
}

type Sample = [labels: Record<string, string>, value: MetricFamily['samples'][number]['value']];

/** All metrics of a gateway. */
export function metricsOf(counters: GatewayCounters, others: OtherCounts): MetricFamily[] {
  return [
    ...requestMetrics(counters),
    ...tunnelMetrics(counters),
    ...listenerMetrics(counters),
    ...upstreamMetrics(counters, others),
    gauge('workers', 'Workers that run.', [[{}, others.running]]),
    counter('worker_restarts', 'Workers that ended unasked, and were replaced.', [[{}, others.restarts]]),
    counter('http_requests_lost', 'Requests of workers that ended.', [[{}, others.requestsLost]]),
    ...(others.log ? logMetrics(counters, others.log) : []),
  ];
}

function requestMetrics(counters: GatewayCounters): MetricFamily[] {
  const { layout } = counters;
  const routes = layout.routes.map((route, i) => [route, layout.route(i)] as const);
  const requests = routes.flatMap(([route, at]) =>
    VERSIONS.flatMap((version, v) =>
      STATUS_CLASSES.map((status_class, c): Sample => {
        const labels = { route, status_class, protocol: `HTTP/${version}` };
        return [labels, counters.sum(at + ROUTE.requests + v * STATUS_CLASSES.length + c)];
      }),
    ),
  );
  const durations = routes.map(([route, at], i): Sample => {
    const { bounds, counts } = shownBuckets(counters.buckets(i));
    return [{ route }, { bounds, counts, sum: counters.sum(at + ROUTE.durations) / 1000 }];
  });
  const bytes = (place: number) => routes.map(([route, at]): Sample => [{ route }, counters.sum(at + place)]);
  return [
    counter('http_requests', 'Requests, by the class of their final status.', requests.filter(isPossible)),
    {
      ...{ name: 'http_request_duration_seconds', type: 'histogram' },
      help: 'From the end of the request head to the end of the response, without tunnels.',
      samples: durations.map(([labels, value]) => ({ labels, value })),
    },
    counter('http_received_body_bytes', 'Bytes of request bodies.', bytes(ROUTE.received)),
    counter('http_sent_body_bytes', 'Bytes of response bodies.', bytes(ROUTE.sent)),
    gauge('http_requests_in_progress', 'Requests now.', [[{}, counters.sum(WORKER.requestsNow)]]),
  ];
}

function tunnelMetrics(counters: GatewayCounters): MetricFamily[] {
  const { layout } = counters;
  const samples = (place: number) =>
    layout.routes
      .map((route, i): Sample => [{ route }, counters.sum(layout.route(i) + place)])
      .filter(([{ route }, value]) => route !== NO_ROUTE || value !== 0);
  return [
    gauge('http_tunnels', 'Tunnels now: WebSocket, and others by Upgrade.', samples(ROUTE.tunnelsNow)),
    counter('http_upgrades', 'Requests that became tunnels.', samples(ROUTE.tunnels)),
    counter(
      'http_tunnel_received_bytes',
      'Bytes of clients in tunnels that have ended.',
      samples(ROUTE.tunnelReceived),
    ),
    counter(
      'http_tunnel_sent_bytes',
      'Bytes for clients in tunnels that have ended.',
      samples(ROUTE.tunnelSent),
    ),
  ].filter(({ samples }) => samples.length > 0);
}

/** Rare classes and versions are shown from their first request on; and where no route answers, what its answers can be. */
function isPossible([{ status_class, protocol, route }, value]: Sample): boolean {
  if (value !== 0) return true;
  if (protocol !== 'HTTP/1.1' || status_class === 'none' || status_class === '1xx') return false;
  return route !== NO_ROUTE || status_class === '4xx';
}

function listenerMetrics(counters: GatewayCounters): MetricFamily[] {
  const samples = (place: number) =>
    counters.layout.listeners.map((listener, i): Sample => {
      return [{ listener }, counters.sum(counters.layout.listener(i) + place)];
    });
  return [
    gauge('http_connections', 'Connections of clients now.', samples(LISTENER.connectionsNow)),
    counter('http_connects', 'Connections of clients.', samples(LISTENER.connections)),
    counter('http_connections_refused', 'Connections closed, as their client had too many.', [
      [{}, counters.sum(WORKER.connectionsRefused)],
    ]),
    counter('tls_handshakes', 'TLS handshakes of clients.', handshakes(counters)),
  ].filter(({ samples }) => samples.length > 0);
}

function handshakes(counters: GatewayCounters): Sample[] {
  const { listeners, secure } = counters.layout;
  return listeners.flatMap((listener, i) => {
    const at = counters.layout.listener(i) + LISTENER.handshakes;
    if (!secure[i]) return [];
    return HANDSHAKES.map((result, j): Sample => [{ listener, result }, counters.sum(at + j)]);
  });
}

function upstreamMetrics(counters: GatewayCounters, { isUp }: OtherCounts): MetricFamily[] {
  const { layout } = counters;
  const all = layout.upstreams.map((upstream, i) => [upstream, layout.upstream(i)] as const);
  const samples = (place: number) =>
    all.map(([upstream, at]): Sample => [{ upstream }, counters.sum(at + place)]);
  const attempts = all.flatMap(([upstream, at]) =>
    RESULTS.map((result, i): Sample => [{ upstream, result }, counters.sum(at + UPSTREAM.attempts + i)]),
  );
  return [
    gauge(
      'upstream_up',
      'Whether an upstream is in use; 0: it failed, and is left out for a time.',
      all.map(([upstream], i): Sample => [{ upstream }, isUp(i) ? 1 : 0]),
    ),
    counter('upstream_requests', 'Requests sent to an upstream, by what became of them.', attempts),
    counter('upstream_retries', 'Requests that were tried again.', samples(UPSTREAM.retries)),
    counter('upstream_queue_full', 'Requests refused, as too many waited.', samples(UPSTREAM.queueFull)),
  ].filter(({ samples }) => samples.length > 0);
}

function logMetrics(
  counters: GatewayCounters,
  { datagrams, bytes, dropped }: NonNullable<OtherCounts['log']>,
): MetricFamily[] {
  const allDropped = dropped + counters.sum(WORKER.logDropped);
  return [
    counter('access_log_records', 'Records of the access log.', [[{}, datagrams]]),
    counter('access_log_bytes', 'Bytes of these records.', [[{}, bytes]]),
    counter('access_log_dropped_records', 'Records dropped, as they were not written fast enough.', [
      [{}, allDropped],
    ]),
  ];
}

function counter(name: string, help: string, samples: Sample[]): MetricFamily {
  return { name, help, type: 'counter', samples: samples.map(([labels, value]) => ({ labels, value })) };
}

function gauge(name: string, help: string, samples: Sample[]): MetricFamily {
  return { ...counter(name, help, samples), type: 'gauge' };
}
