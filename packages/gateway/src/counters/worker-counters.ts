import type { Rejection } from 'mproxy-http';
import type { ClientObserver } from 'mproxy-service/http/client-observer';
import type { HttpContext, HttpRequest, Outcome } from 'mproxy-service/http/message';
import type { RequestObserver } from 'mproxy-service/layers/metrics';
import { Seldom } from '../seldom.js';
import { bucketOf } from './durations.js';
import {
  HANDSHAKES,
  type HandshakeResult,
  type Layout,
  LISTENER,
  NO_ROUTE,
  RESULTS,
  ROUTE,
  STATUS_CLASSES,
  UPSTREAM,
  VERSIONS,
  WORKER,
} from './layout.js';

/** A worker tells so often of an upstream that cannot be connected to, in milliseconds: each request may find it so. */
const QUIET_MS = 1000;

/** The counters of one worker, which it alone writes. The main thread reads them. */
export class WorkerCounters implements RequestObserver {
  readonly #counts: Float64Array;
  /** Where the counters of each route begin. */
  readonly #routes: Map<string, number>;
  readonly #noRoute: number;
  /** The route of the last request, and where its counters begin. */
  #lastRoute: string | undefined;
  #lastAt: number;

  constructor(
    private readonly layout: Layout,
    memory: SharedArrayBuffer,
  ) {
    this.#counts = new Float64Array(memory);
    this.#routes = new Map(layout.routes.map((name, i) => [name, layout.route(i)]));
    this.#noRoute = this.#routes.get(NO_ROUTE)!;
    this.#lastAt = this.#noRoute;
  }

  begun(): void {
    this.#counts[WORKER.requestsNow]!++;
  }

  switched(_request: HttpRequest, { route }: HttpContext): void {
    const at = this.#placeOf(route);
    this.#counts[WORKER.requestsNow]!--;
    this.#counts[at + ROUTE.tunnelsNow]!++;
    this.#counts[at + ROUTE.tunnels]!++;
  }

  ended(
    { version }: HttpRequest,
    { route }: HttpContext,
    { status, received, sent, duration }: Outcome,
  ): void {
    const counts = this.#counts;
    const at = this.#placeOf(route);
    counts[at + VERSIONS.indexOf(version) * STATUS_CLASSES.length + Math.trunc(status / 100)]!++;
    if (status === 101) {
      counts[at + ROUTE.tunnelsNow]!--;
      counts[at + ROUTE.tunnelReceived]! += received;
      counts[at + ROUTE.tunnelSent]! += sent;
      return;
    }
    counts[WORKER.requestsNow]!--;
    counts[at + ROUTE.received]! += received;
    counts[at + ROUTE.sent]! += sent;
    counts[at + ROUTE.durations]! += duration;
    counts[at + ROUTE.buckets + bucketOf(duration)]!++;
  }

  /** A request that no service has seen. */
  rejected({ status }: Rejection): void {
    const version = VERSIONS.indexOf('1.1') * STATUS_CLASSES.length;
    this.#counts[this.#noRoute + version + Math.trunc(status / 100)]!++;
  }

  /** Where the counters of a route begin. */
  #placeOf(route: string | undefined): number {
    if (route !== this.#lastRoute) {
      this.#lastRoute = route;
      this.#lastAt = (route === undefined ? undefined : this.#routes.get(route)) ?? this.#noRoute;
    }
    return this.#lastAt;
  }

  connectionOpened(listener: number): void {
    const at = this.layout.listener(listener);
    this.#counts[at + LISTENER.connectionsNow]!++;
    this.#counts[at + LISTENER.connections]!++;
  }

  connectionClosed(listener: number): void {
    this.#counts[this.layout.listener(listener) + LISTENER.connectionsNow]!--;
  }

  handshake(listener: number, result: HandshakeResult): void {
    this.#counts[this.layout.listener(listener) + LISTENER.handshakes + HANDSHAKES.indexOf(result)]!++;
  }

  connectionRefused(): void {
    this.#counts[WORKER.connectionsRefused]!++;
  }

  logDropped(): void {
    this.#counts[WORKER.logDropped]!++;
  }

  /**
   * Takes the events of a client.
   * @param upstreams those of the client, in its order
   * @param onConnectError told why an upstream could not be connected to, at most once a second for each
   */
  upstreams(
    upstreams: readonly string[],
    onConnectError: (upstream: string, error: Error) => void,
  ): ClientObserver {
    const counts = this.#counts;
    const places = upstreams.map((url) => this.layout.upstream(this.layout.upstreams.indexOf(url)));
    const told = upstreams.map(() => new Seldom(QUIET_MS));
    return {
      onAttempt: (upstream, result) => {
        counts[places[upstream]! + UPSTREAM.attempts + RESULTS.indexOf(result)]!++;
      },
      onConnectError: (upstream, error) => {
        if (told[upstream]!.takes()) onConnectError(upstreams[upstream]!, error);
      },
      onRetry: (upstream) => {
        counts[places[upstream]! + UPSTREAM.retries]!++;
      },
      onQueueFull: (upstream) => {
        counts[places[upstream]! + UPSTREAM.queueFull]!++;
      },
    };
  }
}
