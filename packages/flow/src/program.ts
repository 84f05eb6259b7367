import { type ErrorCode, failure, MproxyError, readFlags, reason, type SocketAddress } from 'mproxy-base';
import type { Engine, EngineName, Streams, ThreadFailure } from 'mproxy-net';
import { chooseEngine } from 'mproxy-net/engine';
import { ENGINE, ENGINE_NAME } from 'mproxy-net/engine-flag';
import type { RouteStats, Stats } from './counts.js';
import type { EventDefinition, Fields, Lost, Notice } from './events.js';
import * as events from './events.js';
import { LossReport } from './loss-report.js';
import { Route, type RouteOptions } from './route.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';

/** How long a program that is stopping waits for slow readers, in milliseconds. */
const GRACE_MS = 500;

/** What every program's options have, besides its flags. */
export interface CommonOptions {
  /** `auto` (default), `linux` or `node`. */
  engine?: string;
  /** Given: a notice names the engine, and why it is not the preferred one. */
  stats?: unknown;
  onNotice?: (notice: Notice) => void;
}

/** Options that are no flags of a program's own. */
export const COMMON_OPTIONS = ['engine', 'stats', 'onNotice'];

/** A certificate that a program presents. */
export interface Certificate {
  file: string;
  /** When its validity ends, in milliseconds since 1970. */
  notAfter: number;
}

/** A running program: what its sources and sinks share, and its life from opening to the end. */
export class Program {
  engine!: Engine;
  readonly #routes: Route[] = [];
  readonly #last = new Set<Route>();
  readonly #runs = new Map<Route, Promise<void>>();
  readonly #opened: Source[] = [];
  readonly #sinks: Sink[] = [];
  readonly #shared = new Map<string, unknown>();
  readonly #closes = new Map<Sink, Promise<void>>();
  readonly #reloads: (() => void)[] = [];
  readonly #ends: (() => void)[] = [];
  readonly #certificates: (() => Certificate[])[] = [];
  readonly #listening: SocketAddress[] = [];
  readonly #stopping = new AbortController();
  readonly #losses = new LossReport(
    () => this.#routes.map(({ source }) => source),
    () => this.#sinks,
    (losses) => this.emit(events.LOST, { losses }),
  );
  readonly #said = new Map<string, string>();
  /** Routes that have not ended. */
  #running = 0;
  /** A bug of this program, met by a route: it ends the program at once. */
  #broken!: (error: unknown) => void;
  readonly #bug = new Promise<never>((_resolve, reject) => {
    this.#broken = reject;
  });
  #ended = false;
  /** Whether it was stopped from outside. */
  #stopped = false;
  #failure: MproxyError | undefined;

  constructor(private readonly options: CommonOptions) {
    this.#bug.catch(() => undefined);
  }

  /** Aborted when the program stops. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  emit<F extends Fields>(event: EventDefinition<F>, fields: NoInfer<F>): void {
    this.options.onNotice?.(events.noticeOf(event, fields));
  }

  /** Emits an event, unless it is the last one of its type that was emitted of the subject. */
  emitChange<F extends Fields>(event: EventDefinition<F>, fields: NoInfer<F>, subject = ''): void {
    const key = `${event.type} ${subject}`;
    const text = event.text(fields);
    if (this.#said.get(key) === text) return;
    this.#said.set(key, text);
    this.emit(event, fields);
  }

  /** One function for all sockets of the program: what concerns all of them is reported once. */
  readonly socketNotice = (text: string): void => this.emit(events.SOCKET_NOTICE, { text });
  /** Likewise. */
  readonly threadFailed = (failure: ThreadFailure): void => this.emit(events.THREAD_FAILED, { ...failure });

  /** @param local the address of the socket, if it listens on one */
  listening(fields: Parameters<typeof events.LISTENING.text>[0], local?: SocketAddress): void {
    if (local) this.#listening.push(local);
    this.emit(events.LISTENING, fields);
  }

  /** Records a failure that does not end the program now; `done` rejects with the first. */
  fail(code: ErrorCode, what: string, which: string, why: unknown): MproxyError {
    return this.failBy(failure(code, what, which, why));
  }

  failBy(error: MproxyError): MproxyError {
    this.#failure ??= error;
    return error;
  }

  /** Registers a sink: it is closed at the end, after all routes. */
  sink<S extends Sink>(sink: S): S {
    this.#sinks.push(sink);
    if (this.#ended) void this.#close([sink]);
    return sink;
  }

  /** Uses an engine that something else than the options names, before anything is opened. @throws MPROXY_ENGINE */
  use(name: 'auto' | EngineName): void {
    if (name !== (this.options.engine ?? 'auto')) this.engine = this.#chooseEngine(name);
  }

  /** The stream sockets of the engine. */
  get streams(): Streams {
    const { streams } = this.engine;
    const { instead } = streams;
    if (instead !== undefined && this.options.stats)
      this.emitChange(events.STREAMS_INSTEAD, { reason: instead });
    return streams;
  }

  /** What a program has once, made by its first user. */
  shared<T>(name: string, make: () => T): T {
    if (!this.#shared.has(name)) this.#shared.set(name, make());
    return this.#shared.get(name) as T;
  }

  /** Registers a source: it is stopped if the program fails before the source runs. */
  source<S extends Source>(source: S): S {
    this.#opened.push(source);
    return source;
  }

  /** Runs a route from now on. */
  route(source: Source, sinks: Sink[], options: RouteOptions = {}): Promise<void> {
    const route = new Route(source, sinks, options);
    this.#routes.push(route);
    if (options.last) this.#last.add(route);
    const run = route.run();
    this.#running++;
    run.then(
      () => this.#running--,
      (error: unknown) => this.#routeFailed(error),
    );
    this.#runs.set(route, run);
    if (this.stopping.aborted) route.stop();
    return run;
  }

  /** The other routes go on. Without others the program ends with the error, which is its report. */
  #routeFailed(error: unknown): void {
    this.#running--;
    if (!(error instanceof MproxyError)) this.#broken(error);
    else if (this.#running > 0 && error !== this.#failure) {
      error.reported = true;
      this.emit(events.ROUTE_FAILED, { reason: error.message });
    }
  }

  /** Registers a check of the outcome; it runs after all sinks are closed. */
  onEnd(check: () => void): void {
    this.#ends.push(check);
  }

  onReload(reload: () => void): void {
    this.#reloads.push(reload);
  }

  /** @returns whether anything is registered by {@link onReload} */
  reload(): boolean {
    for (const reload of this.#reloads) {
      try {
        reload();
      } catch (error) {
        this.emit(events.RELOAD_FAILED, { reason: reason(error) });
      }
    }
    return this.#reloads.length > 0;
  }

  /** A sink of several routes is one object in all of them. */
  stats(): Stats {
    const found = new Map<Sink, RouteStats['sinks'][number]>();
    const sinkStats = (sink: Sink) => {
      const known = found.get(sink);
      const stats = known ?? { name: sink.name, disconnected: sink.disconnected, ...sink.counts };
      if (known) known.shared = true;
      else found.set(sink, stats);
      return stats;
    };
    return { routes: this.#routes.map((route) => route.stats(sinkStats)) };
  }

  /** Registers certificates that the program presents. */
  presents(certificates: () => Certificate[]): void {
    this.#certificates.push(certificates);
  }

  certificates(): Certificate[] {
    return this.#certificates.flatMap((certificates) => certificates());
  }

  /** Everything that was lost since the start, with reasons and remedies. */
  losses(): Lost[] {
    return this.#losses.losses();
  }

  /** Stops from outside: what slow readers have not taken within {@link GRACE_MS} is dropped. */
  async stop(): Promise<void> {
    if (!this.#stopped) setTimeout(() => this.#abortPending(this.#sinks), GRACE_MS).unref();
    this.#stopped = true;
    await this.end();
  }

  /**
   * Stops the sources, then the sinks. A program that ends by itself, because no more data will come, waits for slow
   * readers without limit.
   */
  async end(): Promise<void> {
    if (this.stopping.aborted) return;
    this.#stopping.abort();
    await this.#stopRoutes(this.#routes.filter((route) => !this.#last.has(route)));
    await this.#stopRoutes([...this.#last]);
  }

  async #stopRoutes(routes: Route[]): Promise<void> {
    const others = this.#routes.filter((route) => !routes.includes(route)).flatMap(({ sinks }) => sinks);
    const sinks = this.#sinks.filter((sink) => !others.includes(sink));
    const grace = setTimeout(() => this.#abortPending(sinks), GRACE_MS);
    for (const route of routes) route.stop();
    await Promise.allSettled(routes.map((route) => this.#runs.get(route)));
    await this.#close(sinks);
    clearTimeout(grace);
  }

  async open(open: (program: Program) => Promise<void>): Promise<{ listening: SocketAddress[] }> {
    try {
      this.engine = this.#chooseEngine(readFlags({ all: ENGINE }, this.options).engine);
      await open(this);
      return { listening: this.#listening };
    } catch (error) {
      for (const source of this.#opened) source.stop();
      await this.stop();
      await this.#end();
      // A name whose resolution was cancelled by the stop.
      if (error === this.stopping.reason) return { listening: this.#listening };
      throw error;
    }
  }

  async finish(): Promise<Stats> {
    const ends = await Promise.race([Promise.allSettled(this.#runs.values()), this.#bug]);
    await this.#end();
    this.#losses.finish();
    for (const check of this.#ends) check();
    const failures = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as MproxyError] : []));
    const failed = failures.find(({ reported }) => !reported) ?? this.#failure ?? failures[0];
    if (failed) throw failed;
    return this.stats();
  }

  /** Closes what is still open, also what was opened while the program was stopping. */
  async #end(): Promise<void> {
    this.#losses.stop();
    this.#ended = true;
    const grace = setTimeout(() => {
      if (this.stopping.aborted) this.#abortPending(this.#sinks);
    }, GRACE_MS);
    await this.#close(this.#sinks);
    clearTimeout(grace);
  }

  #abortPending(sinks: Sink[]): void {
    if (this.#stopped) for (const sink of sinks) sink.abortPending();
  }

  async #close(sinks: Iterable<Sink>): Promise<void> {
    for (const sink of sinks) if (!this.#closes.has(sink)) this.#closes.set(sink, sink.close());
    await Promise.all(this.#closes.values());
  }

  #chooseEngine(name: 'auto' | EngineName): Engine {
    try {
      const { engine, instead } = chooseEngine(name);
      if (this.options.stats) this.emit(events.ENGINE_CHOSEN, { engine: engine.name, instead });
      return engine;
    } catch (error) {
      throw failure('MPROXY_ENGINE', ENGINE_NAME, name, error, `use ${ENGINE_NAME} node`);
    }
  }
}
