import type { Cell, FigureTable } from 'mproxy-flow';
import { percentile } from './durations.js';
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
} from './layout.js';
import type { OtherCounts } from './metrics.js';

/** What a person sees of a gateway: routes, upstreams, listeners, and tunnels once there was one. Percentiles are of the last minute. */
export function tablesOf(counters: GatewayCounters, { isUp }: Pick<OtherCounts, 'isUp'>): FigureTable[] {
  const { routes, listeners, secure, upstreams } = counters.layout;
  const tables: FigureTable[] = [
    {
      name: 'routes',
      columns: [
        { name: 'route', unit: 'text' },
        { name: 'requests', unit: 'counter' },
        ...['2xx', '3xx', '4xx', '5xx'].map((name) => ({ name, unit: 'count' as const })),
        { name: 'p50', unit: 'time' },
        { name: 'p99', unit: 'time' },
        { name: 'received', unit: 'bytes' },
        { name: 'sent', unit: 'bytes' },
      ],
      rows: routes.map((name, i) => routeRow(counters, name, i)).filter(isOfInterest),
    },
    {
      name: 'upstreams',
      columns: [
        { name: 'upstream', unit: 'text' },
        { name: 'state', unit: 'state' },
        { name: 'requests', unit: 'counter' },
        { name: 'failed', unit: 'count' },
        { name: 'retries', unit: 'count' },
      ],
      rows: upstreams.map((name, i) => upstreamRow(counters, name, i, isUp(i))),
    },
    {
      name: 'listeners',
      columns: [
        { name: 'listener', unit: 'text' },
        { name: 'connections now', unit: 'count' },
        { name: 'connections', unit: 'counter' },
        ...(secure.includes(true) ? HANDSHAKE_COLUMNS : []),
      ],
      rows: listeners.map((name, i) => listenerRow(counters, name, i)),
    },
    {
      name: 'tunnels',
      columns: [
        { name: 'route', unit: 'text' },
        { name: 'opened', unit: 'counter' },
        { name: 'now', unit: 'count' },
        { name: 'received', unit: 'bytes' },
        { name: 'sent', unit: 'bytes' },
      ],
      rows: tunnelRows(counters),
    },
  ];
  return tables.filter(({ rows }) => rows.length > 0);
}

/** What has no route is shown if there is any. */
function isOfInterest([name, count]: readonly Cell[]): boolean {
  return name !== NO_ROUTE || count !== 0;
}

function routeRow(counters: GatewayCounters, name: string, route: number): Cell[] {
  const at = counters.layout.route(route);
  const classes = STATUS_CLASSES.map((_, c) =>
    VERSIONS.reduce((sum, _version, v) => sum + counters.sum(at + v * STATUS_CLASSES.length + c), 0),
  );
  const recent = counters.recentBuckets(route);
  return [
    name,
    classes.reduce((sum, count) => sum + count, 0),
    ...classes.slice(2),
    ...[percentile(recent, 0.5), percentile(recent, 0.99)],
    ...[counters.sum(at + ROUTE.received), counters.sum(at + ROUTE.sent)],
  ];
}

function tunnelRows(counters: GatewayCounters): Cell[][] {
  const { layout } = counters;
  const places = [ROUTE.tunnels, ROUTE.tunnelsNow, ROUTE.tunnelReceived, ROUTE.tunnelSent];
  const rows = layout.routes.map((name, i): Cell[] => {
    return [name, ...places.map((place) => counters.sum(layout.route(i) + place))];
  });
  return rows.some(([, opened]) => opened !== 0) ? rows.filter(isOfInterest) : [];
}

const HANDSHAKE_COLUMNS = [
  { name: 'TLS full', unit: 'count' as const },
  { name: 'TLS resumed', unit: 'count' as const },
  { name: 'TLS failed', unit: 'count' as const },
];

function listenerRow(counters: GatewayCounters, name: string, listener: number): Cell[] {
  const { layout } = counters;
  const at = layout.listener(listener);
  const handshakes = HANDSHAKES.map((_, i) => counters.sum(at + LISTENER.handshakes + i));
  return [
    ...[name, counters.sum(at + LISTENER.connectionsNow), counters.sum(at + LISTENER.connections)],
    ...(layout.secure.includes(true) ? handshakes : []),
  ];
}

function upstreamRow(counters: GatewayCounters, name: string, upstream: number, isUp: boolean): Cell[] {
  const at = counters.layout.upstream(upstream);
  const attempts = RESULTS.map((_, i) => counters.sum(at + UPSTREAM.attempts + i));
  const all = attempts.reduce((sum, count) => sum + count, 0);
  const failed = RESULTS.reduce(
    (sum, result, i) => (['answered', 'cancelled'].includes(result) ? sum : sum + attempts[i]!),
    0,
  );
  return [name, isUp ? 'up' : 'down', all, failed, counters.sum(at + UPSTREAM.retries)];
}
