import type { Frame } from 'mproxy-framing';
import { chooseEngine, type Endpoint, type Engine } from 'mproxy-udp';
import type { Stats } from './counts.js';
import { type ErrorCode, failure, MproxyError, reason, usage } from './errors.js';
import { losses } from './losses.js';
import { type Pace, Route } from './route.js';
import { StreamSink } from './sink/stream.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';
import { standardStream } from './terminal.js';

/** How often losses are looked for, and how often they are told at most, in milliseconds. */
const LOOK_MS = 1000;
const TELL_MS = 10_000;
/** How long a program that was asked to stop waits for those who do not take what it has for them. */
const PATIENCE_MS = 500;

/** What every program's options have. */
export interface CommonOptions {
  /** A copy of the data on stdout. */
  tee?: boolean;
  /** `auto` (default), `linux` or `node`. */
  engine?: string;
  /** Say with the notices which engine runs, and why it is not the one that `auto` would rather have. */
  stats?: unknown;
  /** Takes what the program says of itself. */
  onNotice?: (notice: Notice) => void;
}

export interface Notice {
  /** `loss` is what must reach a person: something was lost, or is about to be. */
  kind: 'info' | 'loss';
  text: string;
}

/** A running program. */
export interface Handle {
  /** Resolves when every socket and file is open, with the addresses listened on. Rejects as `done` does. */
  ready: Promise<{ listening: Endpoint[] }>;
  /** The counters as they are now. */
  stats(): Stats;
  /** Stops reading, writes out what is held, and resolves as `done` does. */
  stop(): Promise<Stats>;
  /** Opens files again and reads certificates again, as SIGHUP asks a command to. @returns whether it has any */
  reload(): boolean;
  /** The final counters; rejects with an {@link MproxyError}. */
  done: Promise<Stats>;
}

/**
 * Starts a program: `open` opens its sinks and routes, and the service runs them to their end.
 * Errors of `open` reject `ready` and `done`; what was opened until then is closed.
 */
export function startService(
  options: CommonOptions,
  signal: AbortSignal | undefined,
  open: (service: Service) => Promise<void>,
): Handle {
  const service = new Service(options);
  const ready = service.open(open);
  const done = ready.then(() => service.finish());
  // A caller may look at one of the two alone.
  ready.catch(() => undefined);
  done.catch(() => undefined);
  const stop = () => {
    void service.stop();
    return done;
  };
  if (signal?.aborted) stop();
  else signal?.addEventListener('abort', stop, { once: true });
  const forget = () => signal?.removeEventListener('abort', stop);
  done.then(forget, forget);
  return { ready, done, stop, stats: () => service.stats(), reload: () => service.reload() };
}

export interface RouteOptions {
  pace?: Pace | undefined;
  /** Stop it after the others: what they send comes back in by it. */
  last?: boolean;
}

/** What the parts of one running program share. */
export class Service {
  engine!: Engine;
  readonly #routes: Route[] = [];
  readonly #last = new Set<Route>();
  readonly #runs = new Map<Route, Promise<void>>();
  readonly #opened: Source[] = [];
  readonly #sinks: Sink[] = [];
  readonly #closes = new Map<Sink, Promise<void>>();
  readonly #reloads: (() => void)[] = [];
  readonly #ends: (() => void)[] = [];
  readonly #listening: Endpoint[] = [];
  readonly #stopping = new AbortController();
  readonly #watch = setInterval(() => this.#tellLosses(TELL_MS), LOOK_MS);
  readonly #said = new Map<string, string>();
  /** Routes that have not ended. */
  #running = 0;
  /** A mistake of this program, met by a route: it ends the program at once. */
  #broken!: (error: unknown) => void;
  readonly #mistake = new Promise<never>((_resolve, reject) => {
    this.#broken = reject;
  });
  #ended = false;
  /** Until it is asked to stop. */
  #patient = true;
  #stdout: StreamSink | undefined;
  #failure: MproxyError | undefined;
  #told = { total: 0, at: Number.NEGATIVE_INFINITY };

  constructor(private readonly options: CommonOptions) {
    this.#watch.unref();
    this.#mistake.catch(() => undefined);
  }

  /** Aborted when the program is asked to stop. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  readonly notice = (text: string): void => this.options.onNotice?.({ kind: 'info', text });

  /** Says what holds for a subject, where that is not what was said of it last. */
  noticeChange(subject: string, text: string): void {
    if (this.#said.get(subject) === text) return;
    this.#said.set(subject, text);
    this.notice(text);
  }

  readonly loss = (text: string): void => this.options.onNotice?.({ kind: 'loss', text });

  listening(where: string, local: Endpoint): void {
    this.#listening.push(local);
    this.notice(`listening: ${where}`);
  }

  /** Something failed that the program outlives; it ends with the first such error. */
  fail(code: ErrorCode, what: string, which: string, why: unknown): void {
    this.#failure ??= failure(code, what, which, why);
  }

  /** Has a sink closed at the end, after all routes. */
  sink<S extends Sink>(sink: S): S {
    this.#sinks.push(sink);
    if (this.#ended) void this.#close([sink]);
    return sink;
  }

  /** Has a source closed when the program fails before the source runs. */
  source<S extends Source>(source: S): S {
    this.#opened.push(source);
    return source;
  }

  /** The one writer that owns stdout. */
  stdout(frame: Frame, waits: boolean): StreamSink {
    this.#stdout ??= this.sink(new StreamSink(this, 'stdout', standardStream(1), frame, waits));
    return this.#stdout;
  }

  /** Runs a route from now on. */
  route(source: Source, sinks: Sink[], { pace, last = false }: RouteOptions = {}): Promise<void> {
    const route = new Route(source, sinks, pace);
    this.#routes.push(route);
    if (last) this.#last.add(route);
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

  /** The others go on. Without others the program ends with the error, which is its report. */
  #routeFailed(error: unknown): void {
    this.#running--;
    if (!(error instanceof MproxyError)) this.#broken(error);
    else if (this.#running > 0) {
      error.reported = true;
      this.loss(`${error.message}; the others go on`);
    }
  }

  /** Checks the outcome, after all sinks are closed. */
  onEnd(check: () => void): void {
    this.#ends.push(check);
  }

  onReload(reload: () => void): void {
    this.#reloads.push(reload);
  }

  /** @returns whether there was something to read again */
  reload(): boolean {
    for (const reload of this.#reloads) {
      try {
        reload();
      } catch (error) {
        this.loss(`${reason(error)}; going on as before`);
      }
    }
    return this.#reloads.length > 0;
  }

  stats(): Stats {
    return { routes: this.#routes.map((route) => route.stats()) };
  }

  /** Stops, as it was asked to: what has not gone out soon is given up. */
  async stop(): Promise<void> {
    if (this.#patient) setTimeout(() => this.#abortPending(this.#sinks), PATIENCE_MS).unref();
    this.#patient = false;
    await this.end();
  }

  /**
   * Stops, from the beginning to the end: what came in goes out before what it goes through is stopped. By itself,
   * when nothing more is to come, it gives everybody the time that they take.
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
    const patience = setTimeout(() => this.#abortPending(sinks), PATIENCE_MS);
    for (const route of routes) route.stop();
    await Promise.allSettled(routes.map((route) => this.#runs.get(route)));
    await this.#close(sinks);
    clearTimeout(patience);
  }

  async open(open: (service: Service) => Promise<void>): Promise<{ listening: Endpoint[] }> {
    try {
      this.engine = this.#chooseEngine(this.options.engine ?? 'auto');
      await open(this);
      return { listening: this.#listening };
    } catch (error) {
      for (const source of this.#opened) source.stop();
      await this.stop();
      await this.#end();
      // A look-up that was given up because the program was asked to stop.
      if (error === this.stopping.reason) return { listening: this.#listening };
      throw error;
    }
  }

  async finish(): Promise<Stats> {
    const ends = await Promise.race([Promise.allSettled(this.#runs.values()), this.#mistake]);
    await this.#end();
    this.#tellLosses(0);
    for (const check of this.#ends) check();
    const failures = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as MproxyError] : []));
    const failed = failures.find(({ reported }) => !reported) ?? this.#failure ?? failures[0];
    if (failed) throw failed;
    return this.stats();
  }

  /** Closes what is still open, also what was opened while the program was stopping. */
  async #end(): Promise<void> {
    clearInterval(this.#watch);
    this.#ended = true;
    const patience = setTimeout(() => {
      if (this.stopping.aborted) this.#abortPending(this.#sinks);
    }, PATIENCE_MS);
    await this.#close(this.#sinks);
    clearTimeout(patience);
  }

  #abortPending(sinks: Sink[]): void {
    if (!this.#patient) for (const sink of sinks) sink.abortPending();
  }

  async #close(sinks: Iterable<Sink>): Promise<void> {
    for (const sink of sinks) if (!this.#closes.has(sink)) this.#closes.set(sink, sink.close());
    await Promise.all(this.#closes.values());
  }

  /** Tells what was lost, when that is more than was told, and not more often than asked. */
  #tellLosses(period: number): void {
    const now = performance.now();
    const { total, text } = losses(
      this.#routes.map(({ source }) => source),
      this.#sinks,
    );
    if (total === 0 || now - this.#told.at < period || (period > 0 && total === this.#told.total)) return;
    this.#told = { total, at: now };
    this.loss(`lost: ${text}`);
  }

  #chooseEngine(name: string): Engine {
    if (!isEngineName(name)) throw usage('--engine', name, 'no such engine', 'use auto, linux or node');
    try {
      const { engine, instead } = chooseEngine(name);
      const why = instead === undefined ? '' : `, as linux does not load: ${instead}`;
      if (this.options.stats) this.notice(`engine: ${engine.name}${why}`);
      return engine;
    } catch (error) {
      throw failure('MPROXY_ENGINE', '--engine', name, error, 'use --engine node');
    }
  }
}

function isEngineName(name: string): name is 'auto' | 'linux' | 'node' {
  return ['auto', 'linux', 'node'].includes(name);
}
