import type { AttemptResult } from 'mproxy-service/http/client-observer';
import type { HttpVersion } from 'mproxy-service/http/message';
import type { GatewayConfig } from '../config/types.js';
import { BUCKETS } from './durations.js';

/** Requests that no route answered have this name. */
export const NO_ROUTE = 'none';
/** The route of requests whose host names a port: clients choose the names of targets. */
export const PORT_ENCODING = 'port encoding';
export const VERSIONS: readonly HttpVersion[] = ['1.0', '1.1', '2'];
/** By the first digit of the status; none: nothing was sent. */
export const STATUS_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'];
export const RESULTS: readonly AttemptResult[] = [
  ...(['answered', 'unconnected', 'closed', 'late', 'invalid', 'cancelled'] as const),
];

/** Counters of a worker as a whole. */
export const WORKER = { requestsNow: 0, logDropped: 1, connectionsRefused: 2 };
const WORKER_SIZE = 3;
/** What became of TLS handshakes. */
export const HANDSHAKES = ['full', 'resumed', 'failed'] as const;
export type HandshakeResult = (typeof HANDSHAKES)[number];
/** Counters of a listener. Handshakes are by result. */
export const LISTENER = { connectionsNow: 0, connections: 1, handshakes: 2 };
const LISTENER_SIZE = 2 + HANDSHAKES.length;
const REQUESTS = VERSIONS.length * STATUS_CLASSES.length;
/**
 * Counters of a route. Requests are by version and class of status: VERSIONS x STATUS_CLASSES. Durations are in milliseconds. Bytes and
 * durations of tunnels are not among those of requests.
 */
export const ROUTE = {
  requests: 0,
  received: REQUESTS,
  sent: REQUESTS + 1,
  tunnelsNow: REQUESTS + 2,
  tunnels: REQUESTS + 3,
  tunnelReceived: REQUESTS + 4,
  tunnelSent: REQUESTS + 5,
  durations: REQUESTS + 6,
  buckets: REQUESTS + 7,
};
const ROUTE_SIZE = ROUTE.buckets + BUCKETS;
/** Counters of an upstream. Attempts are by result. */
export const UPSTREAM = { attempts: 0, retries: RESULTS.length, queueFull: RESULTS.length + 1 };
const UPSTREAM_SIZE = RESULTS.length + 2;

/** Where each counter of a worker is, in an array of numbers: the same for all workers of a configuration. */
export class Layout {
  readonly routes: readonly string[];
  readonly listeners: readonly string[];
  /** Whether the listener of the same number has TLS. */
  readonly secure: readonly boolean[];
  readonly upstreams: readonly string[];
  /** Numbers in the array. */
  readonly size: number;

  constructor({ routes, listen, portEncoding }: Pick<GatewayConfig, 'routes' | 'listen' | 'portEncoding'>) {
    this.listeners = listen.map(({ text }) => text);
    this.secure = listen.map(({ tls }) => tls);
    const names = routes.map(({ name }) => name);
    this.routes = [...new Set(portEncoding ? [...names, PORT_ENCODING] : names), NO_ROUTE];
    const urls = routes.flatMap(({ target }) => (target.kind === 'upstream' ? target.upstreams : []));
    this.upstreams = [...new Set(urls)];
    this.size = this.upstream(this.upstreams.length);
  }

  listener(index: number): number {
    return WORKER_SIZE + index * LISTENER_SIZE;
  }

  route(index: number): number {
    return this.listener(this.listeners.length) + index * ROUTE_SIZE;
  }

  upstream(index: number): number {
    return this.route(this.routes.length) + index * UPSTREAM_SIZE;
  }
}
