import { hostname } from 'node:os';
import { VERSION } from 'mproxy-base';
import type { Notice, RouteStats } from 'mproxy-flow';
import { levelOf } from 'mproxy-flow/events';
import { EventStream, message } from './event-stream.js';
import { Health } from './health.js';
import { History } from './history.js';
import type { Snapshot, StatusData } from './messages.js';
import { type MetricsFormat, renderMetrics } from './metrics.js';
import { Peers } from './peers.js';
import { processFigures, STARTED } from './process-figures.js';

/** How many of the last events are kept. */
const MAX_EVENTS = 50;
/** A snapshot is taken again after this time, in milliseconds: more requests cost the program nothing. */
const FRESH_MS = 100;

/** What a running program shows of itself. */
export class Status {
  readonly stream = new EventStream();
  readonly #health: Health;
  readonly #history = new History();
  readonly #peers: Peers;
  /** The last events, in JSON. */
  readonly #events: string[] = [];
  #snapshot: Snapshot = { state: 'starting', stats: { routes: [] }, losses: [], certificates: [] };
  #takenAt = Number.NEGATIVE_INFINITY;
  #waiting: (() => void)[] = [];
  /** Answers made of the snapshot. */
  readonly #made = new Map<string, string>();

  /** @param ask for a snapshot, which is then taken */
  constructor(
    private readonly data: Pick<StatusData, 'program' | 'healthIdle' | 'peers'>,
    private readonly ask: () => void,
  ) {
    this.#health = new Health(data.healthIdle);
    this.#peers = new Peers(data.peers);
  }

  /** Calls back when the snapshot is at most {@link FRESH_MS} old. */
  fresh(then: () => void): void {
    if (performance.now() - this.#takenAt < FRESH_MS) then();
    else if (this.#waiting.push(then) === 1) this.ask();
  }

  /** @param isTick the one of each second */
  take(snapshot: Snapshot, isTick: boolean): void {
    this.#snapshot = snapshot;
    this.#takenAt = performance.now();
    this.#made.clear();
    this.#health.state = snapshot.state;
    if (isTick) {
      this.#health.look(snapshot);
      this.#history.look(snapshot);
      if (this.stream.isRead) this.stream.sendState('stats', this.stats());
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const then of waiting) then();
  }

  notice(notice: Notice): void {
    this.#health.notice(notice);
    const { kind, event, text, fields } = notice;
    const level = levelOf(kind);
    const { program } = this.data;
    const shown = JSON.stringify({ time: new Date().toISOString(), level, program, event, text, fields });
    this.#events.push(shown);
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
    this.stream.send('notice', shown);
  }

  /** The reason why it is not healthy; undefined: it is. */
  get unhealthy(): string | undefined {
    return this.#health.unhealthy;
  }

  metrics(format: MetricsFormat): string {
    return this.#once(format, () => {
      const { stats, certificates } = this.#snapshot;
      const healthy = this.unhealthy === undefined;
      const others = { ...processFigures(), program: this.data.program, healthy, certificates };
      return renderMetrics(stats, others, format);
    });
  }

  /** The counters and all else that the page shows, in JSON. */
  stats(): string {
    return this.#once('stats', () => JSON.stringify(this.#stats()));
  }

  history(): string {
    return this.#once('history', () => JSON.stringify(this.#history));
  }

  /** What a new reader of events gets first. */
  firstEvents(): string {
    const events = this.#events.map((event) => message('notice', event)).join('');
    return `${events}${message('stats', this.stats())}`;
  }

  close(): void {
    this.stream.close();
    this.#peers.close();
  }

  #stats() {
    const { program } = this.data;
    const { state, stats, losses, certificates } = this.#snapshot;
    const { unhealthy, wellSince } = this.#health;
    const peers = this.#peers.look();
    const own = this.#health.problems.map(({ text, since }) => ({ text, since: new Date(since) }));
    const problems = [...own, ...this.#peers.problems];
    const isWell = wellSince !== undefined && problems.length === 0;
    return {
      ...{ program, version: VERSION, host: hostname(), started: STARTED, time: new Date(), state },
      healthy: unhealthy === undefined,
      ...(unhealthy !== undefined && { reason: unhealthy }),
      ...(isWell && { wellSince: new Date(Math.max(wellSince, this.#peers.wellSince)) }),
      problems,
      routes: stats.routes.map((route, i) => this.#route(route, i)),
      ...(stats.figures && { tables: stats.figures.tables }),
      losses,
      certificates: certificates.map(({ file, notAfter }) => ({ file, notAfter: new Date(notAfter) })),
      peers,
    };
  }

  #route({ source, sinks }: RouteStats, i: number) {
    const at = this.#health.lastReceived(i);
    return { source: { ...source, ...(at !== undefined && { lastReceived: new Date(at) }) }, sinks };
  }

  /** An answer, made once of each snapshot. */
  #once(name: string, make: () => string): string {
    const text = this.#made.get(name) ?? make();
    this.#made.set(name, text);
    return text;
  }
}
