import { BUCKETS } from './durations.js';
import { type Layout, LISTENER, ROUTE, WORKER } from './layout.js';

/** Durations are of the requests of this time, in milliseconds, of which so many parts are kept. */
const WINDOW_MS = 60_000;
const PARTS = 12;

/** The counters of all workers. They outlive their workers, so that sums never decrease. */
export class GatewayCounters {
  readonly #workers: Float64Array[];
  /** The buckets of all routes at some times, the oldest first. */
  readonly #past: { at: number; buckets: number[][] }[] = [];

  constructor(
    readonly layout: Layout,
    workers: number,
  ) {
    const bytes = layout.size * Float64Array.BYTES_PER_ELEMENT;
    this.#workers = Array.from({ length: workers }, () => new Float64Array(new SharedArrayBuffer(bytes)));
  }

  /** The memory of a worker, by its number from 0. */
  memory(worker: number): SharedArrayBuffer {
    return this.#workers[worker]!.buffer as SharedArrayBuffer;
  }

  sum(at: number): number {
    return this.#workers.reduce((sum, counts) => sum + counts[at]!, 0);
  }

  /** All buckets of a route. */
  buckets(route: number): number[] {
    const at = this.layout.route(route) + ROUTE.buckets;
    return Array.from({ length: BUCKETS }, (_, i) => this.sum(at + i));
  }

  /** The buckets of a route, of the last minute. */
  recentBuckets(route: number): number[] {
    const before = this.#past[0]?.buckets[route];
    return this.buckets(route).map((count, i) => count - (before?.[i] ?? 0));
  }

  /** To be called now and then: remembers the buckets for {@link recentBuckets}. */
  remember(now: number): void {
    const last = this.#past.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
    if (now - last < WINDOW_MS / PARTS) return;
    this.#past.push({ at: now, buckets: this.layout.routes.map((_, route) => this.buckets(route)) });
    while (this.#past.length > 1 && now - this.#past[1]!.at >= WINDOW_MS) this.#past.shift();
  }

  /** A worker has ended. @returns the requests and connections that it had */
  ended(worker: number): { requests: number; connections: number } {
    const counts = this.#workers[worker]!;
    const take = (at: number): number => {
      const had = counts[at]!;
      counts[at] = 0;
      return had;
    };
    const { listeners, routes } = this.layout;
    for (const i of routes.keys()) take(this.layout.route(i) + ROUTE.tunnelsNow);
    const places = listeners.map((_, i) => this.layout.listener(i) + LISTENER.connectionsNow);
    return {
      requests: take(WORKER.requestsNow),
      connections: places.reduce((sum, at) => sum + take(at), 0),
    };
  }
}
