import type { Frame } from 'mproxy-framing';
import { chooseEngine, type Endpoint, type Engine } from 'mproxy-udp';
import type { Stats } from './counts.js';
import { type ErrorCode, failure, type MproxyError, reason, usage } from './errors.js';
import { losses } from './losses.js';
import { type Pace, Route } from './route.js';
import { StreamSink } from './sink/stream.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';

/** How often losses are looked for, and how often they are told at most, in milliseconds. */
const LOOK_MS = 1000;
const TELL_MS = 10_000;

/** What every program's options have. */
export interface CommonOptions {
  /** A copy of the data on stdout. */
  tee?: boolean;
  /** `auto` (default) or `node`. */
  engine?: string;
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
  /** Opens files again and reads certificates again, as SIGHUP asks a command to. */
  reload(): void;
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
    service.stop();
    return done;
  };
  if (signal?.aborted) void stop();
  else signal?.addEventListener('abort', stop, { once: true });
  return { ready, done, stop, stats: () => service.stats(), reload: () => service.reload() };
}

/** What the parts of one running program share. */
export class Service {
  engine!: Engine;
  readonly #routes: Route[] = [];
  readonly #runs: Promise<void>[] = [];
  readonly #sinks: Sink[] = [];
  readonly #reloads: (() => void)[] = [];
  readonly #ends: (() => void)[] = [];
  readonly #listening: Endpoint[] = [];
  readonly #stopping = new AbortController();
  readonly #watch = setInterval(() => this.#tellLosses(TELL_MS), LOOK_MS);
  #stdout: StreamSink | undefined;
  #failure: MproxyError | undefined;
  #told = { total: 0, at: Number.NEGATIVE_INFINITY };

  constructor(private readonly options: CommonOptions) {
    this.#watch.unref();
  }

  /** Aborted when the program is asked to stop. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  readonly notice = (text: string): void => this.options.onNotice?.({ kind: 'info', text });

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
    return sink;
  }

  /** The one writer that owns stdout. */
  stdout(frame: Frame, waits: boolean): StreamSink {
    this.#stdout ??= this.sink(new StreamSink(this, 'stdout', process.stdout, frame, waits));
    return this.#stdout;
  }

  /** Runs a route from now on. */
  route(source: Source, sinks: Sink[], pace?: Pace): Promise<void> {
    const route = new Route(source, sinks, pace);
    this.#routes.push(route);
    const run = route.run();
    run.catch(() => undefined);
    this.#runs.push(run);
    if (this.stopping.aborted) route.stop();
    return run;
  }

  /** Checks the outcome, after all sinks are closed. */
  onEnd(check: () => void): void {
    this.#ends.push(check);
  }

  onReload(reload: () => void): void {
    this.#reloads.push(reload);
  }

  reload(): void {
    for (const reload of this.#reloads) {
      try {
        reload();
      } catch (error) {
        this.loss(`${reason(error)}; going on as before`);
      }
    }
  }

  stats(): Stats {
    return { routes: this.#routes.map((route) => route.stats()) };
  }

  stop(): void {
    this.#stopping.abort();
    for (const route of this.#routes) route.stop();
  }

  async open(open: (service: Service) => Promise<void>): Promise<{ listening: Endpoint[] }> {
    try {
      this.engine = engineNamed(this.options.engine ?? 'auto');
      await open(this);
      return { listening: this.#listening };
    } catch (error) {
      this.stop();
      await Promise.allSettled(this.#runs);
      await this.#close();
      throw error;
    }
  }

  async finish(): Promise<Stats> {
    const ends = await Promise.allSettled(this.#runs);
    await this.#close();
    this.#tellLosses(0);
    for (const check of this.#ends) check();
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
    if (this.#failure) throw this.#failure;
    return this.stats();
  }

  async #close(): Promise<void> {
    clearInterval(this.#watch);
    await Promise.all(this.#sinks.map((sink) => sink.close()));
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
}

function engineNamed(name: string): Engine {
  if (name === 'auto' || name === 'node') return chooseEngine(name);
  throw usage('--engine', name, 'no such engine', 'use auto or node');
}
