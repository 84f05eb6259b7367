import { hostname } from 'node:os';
import { VERSION } from 'mproxy-base';
import type { Handle, Notice, RouteStats } from 'mproxy-flow';
import { levelOf } from 'mproxy-flow/events';
import { EventStream, message } from './event-stream.js';
import { Health } from './health.js';
import { History } from './history.js';
import { type MetricsFormat, renderMetrics } from './metrics.js';
import { Peers } from './peers.js';
import { processFigures, STARTED } from './process-figures.js';

const TICK_MS = 1000;
/** How many of the last events are kept. */
const MAX_EVENTS = 50;
/** An answer is made again after this time, in milliseconds: more requests cost nothing. */
const FRESH_MS = 100;

export interface StatusSettings {
  /** The name of the program. */
  program: string;
  /** Aborted when the program stops. */
  stopping: AbortSignal;
  healthIdle: number;
  /** Of the `/stats` of other programs. */
  peers: readonly URL[];
}

/** What a running program shows of itself. */
export class Status {
  readonly stream = new EventStream();
  readonly #health: Health;
  readonly #history = new History();
  readonly #peers: Peers;
  /** The last events, in JSON. */
  readonly #events: string[] = [];
  readonly #fresh = new Map<string, { at: number; text: string }>();
  #handle: Handle | undefined;
  readonly #timer = setInterval(() => this.#tick(), TICK_MS);

  constructor(private readonly settings: StatusSettings) {
    this.#health = new Health(settings.healthIdle, settings.stopping);
    this.#peers = new Peers(settings.peers);
    this.#timer.unref();
  }

  /** The program has begun to start. */
  watch(handle: Handle): void {
    this.#handle = handle;
    handle.ready.then(
      () => {
        this.#health.ready();
        this.#tick();
      },
      // A failed start ends the program.
      () => undefined,
    );
  }

  notice(notice: Notice): void {
    this.#health.notice(notice);
    const { kind, event, text, fields } = notice;
    const level = levelOf(kind);
    const { program } = this.settings;
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
    return this.#kept(format, () => {
      const { program } = this.settings;
      const others = {
        ...processFigures(),
        ...{ program, healthy: this.unhealthy === undefined },
        certificates: this.#handle?.certificates() ?? [],
      };
      return renderMetrics(this.#handle?.stats() ?? { routes: [] }, others, format);
    });
  }

  /** The counters and all else that the page shows, in JSON. */
  stats(): string {
    return this.#kept('stats', () => JSON.stringify(this.#stats()));
  }

  history(): string {
    return this.#kept('history', () => JSON.stringify(this.#history));
  }

  /** What a new reader of events gets first. */
  firstEvents(): string {
    const events = this.#events.map((event) => message('notice', event)).join('');
    return `${events}${message('stats', this.stats())}`;
  }

  close(): void {
    clearInterval(this.#timer);
    this.stream.close();
    this.#peers.close();
  }

  #tick(): void {
    if (!this.#handle) return;
    const [stats, losses] = [this.#handle.stats(), this.#handle.losses()];
    this.#health.look(stats, losses, this.#handle.certificates());
    this.#history.look(stats, losses);
    if (this.stream.isRead) this.stream.sendState('stats', this.stats());
  }

  #stats() {
    const { program, stopping } = this.settings;
    const { unhealthy, wellSince } = this.#health;
    const peers = this.#peers.look();
    const own = this.#health.problems.map(({ text, since }) => ({ text, since: new Date(since) }));
    const problems = [...own, ...this.#peers.problems];
    const isWell = wellSince !== undefined && problems.length === 0;
    const state = stopping.aborted ? 'stopping' : unhealthy === 'starting' ? 'starting' : 'running';
    const routes = this.#handle?.stats().routes ?? [];
    return {
      ...{ program, version: VERSION, host: hostname(), started: STARTED, time: new Date(), state },
      healthy: unhealthy === undefined,
      ...(unhealthy !== undefined && { reason: unhealthy }),
      ...(isWell && { wellSince: new Date(Math.max(wellSince, this.#peers.wellSince)) }),
      problems,
      routes: routes.map((route, i) => this.#route(route, i)),
      losses: this.#handle?.losses() ?? [],
      certificates: (this.#handle?.certificates() ?? []).map(({ file, notAfter }) => ({
        file,
        notAfter: new Date(notAfter),
      })),
      peers,
    };
  }

  #route({ source, sinks }: RouteStats, i: number) {
    const at = this.#health.lastReceived(i);
    return { source: { ...source, ...(at !== undefined && { lastReceived: new Date(at) }) }, sinks };
  }

  #kept(name: string, make: () => string): string {
    const kept = this.#fresh.get(name);
    const now = performance.now();
    if (kept && now - kept.at < FRESH_MS) return kept.text;
    const text = make();
    this.#fresh.set(name, { at: now, text });
    return text;
  }
}
