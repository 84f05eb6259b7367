import { showDuration } from 'mproxy-base';
import type { Certificate, Lost, Named, Notice, RouteStats } from 'mproxy-flow';
import type { Snapshot, State } from './messages.js';

/** How long a loss is shown as a problem after it happened, in milliseconds. */
const LOSS_MS = 60_000;
/** Days before its end from which a certificate is a problem. */
const CERTIFICATE_DAYS = 14;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Events that begin a problem, and the events that end it. */
const RECOVERIES: Record<string, string> = {
  write_failed: 'write_resumed',
  file_task_failed: 'file_task_resumed',
};

/** Something that is wrong, in words; times in milliseconds since 1970. */
export interface Problem {
  text: string;
  since: number;
}

/** What is wrong with a program: its health for `/healthz`, and everything that the page shows as a problem. */
export class Health {
  #problems = new Map<string, Problem>();
  /** Of each route: the datagrams of its source, when they were last more, and whether it can receive. */
  readonly #received: { name: string; datagrams: number; at: number; connected: boolean }[] = [];
  /** Endpoints that are not connected, by name. */
  #disconnected = new Map<string, string>();
  readonly #losses = new Map<string, { count: number; since: number; at: number }>();
  /** Reported by events; they last until the program ends, or another event ends them. */
  readonly #reported = new Map<string, string>();
  #routeFailed: string | undefined;
  /** Of the figures of the program. */
  #unable: string | undefined;
  #wellSince = Date.now();
  /** Of the program. */
  state: State = 'starting';

  /** @param idleMs silence of an input that is unhealthy; 0: never */
  constructor(private readonly idleMs: number) {}

  /** What is wrong, for one line; undefined: nothing. Without the problems of peers and losses. */
  get unhealthy(): string | undefined {
    const [disconnected] = this.#disconnected.values();
    return this.#failing ?? this.#unable ?? disconnected ?? this.#silent(Date.now())[0]?.text;
  }

  /** What is wrong with the program as a whole. */
  get #failing(): string | undefined {
    return this.state === 'running' ? this.#routeFailed : this.state;
  }

  get problems(): Problem[] {
    const failing = this.#failing;
    const isNew = failing !== undefined && !this.#problems.has(failing);
    return [...(isNew ? [{ text: failing, since: Date.now() }] : []), ...this.#problems.values()];
  }

  /** When the last problem ended, in milliseconds since 1970; undefined while there are problems. */
  get wellSince(): number | undefined {
    return this.#problems.size === 0 ? this.#wellSince : undefined;
  }

  /** When the source of a route last received something, in milliseconds since 1970; undefined: never. */
  lastReceived(route: number): number | undefined {
    const received = this.#received[route];
    return received && received.datagrams > 0 ? received.at : undefined;
  }

  notice({ event, text, fields }: Notice): void {
    if (event === 'route_failed') this.#routeFailed = text;
    const begun = Object.keys(RECOVERIES).find((type) => type === event || RECOVERIES[type] === event);
    if (begun === undefined) return;
    const key = `${begun} ${fields.task ?? ''} ${fields.file}`;
    if (begun === event) this.#reported.set(key, text);
    else this.#reported.delete(key);
  }

  /** Looks at a running program: called once a second. */
  look({ stats: { routes, figures }, losses, certificates }: Snapshot): void {
    const now = Date.now();
    for (const [i, { source }] of routes.entries()) this.#note(i, source, now);
    this.#disconnected = disconnected(routes);
    this.#unable = figures?.unhealthy;
    const failing = this.#failing;
    const found: (readonly [key: string, text: string])[] = [
      ...(failing === undefined ? [] : [[failing, failing] as const]),
      ...[...this.#disconnected].map(([name, text]) => [`disconnected ${name}`, text] as const),
      ...this.#reported,
      ...[...(figures?.problems ?? []), ...(this.#unable === undefined ? [] : [this.#unable])].map(
        (text) => [text, text] as const,
      ),
      ...certificates.flatMap((certificate) => ending(certificate, now)),
    ];
    const old = this.#problems;
    this.#problems = new Map(found.map(([key, text]) => [key, { text, since: old.get(key)?.since ?? now }]));
    for (const { name, ...silent } of this.#silent(now)) this.#problems.set(`silent ${name}`, silent);
    for (const lost of losses) this.#noteLoss(lost, now);
    if (this.#problems.size > 0) this.#wellSince = now;
  }

  #note(route: number, { name, datagrams, disconnected }: RouteStats['source'], now: number): void {
    const before = this.#received[route];
    const at = before?.datagrams === datagrams ? before.at : now;
    this.#received[route] = { name, datagrams, at, connected: disconnected === undefined };
  }

  #noteLoss({ endpoint, counter, label = '', count, lost, reason }: Lost, now: number): void {
    const key = `${endpoint} ${counter} ${label}`;
    const known = this.#losses.get(key);
    if (known?.count !== count) {
      const isNew = known === undefined || now - known.at > LOSS_MS;
      this.#losses.set(key, { count, since: isNew ? now : known.since, at: now });
    }
    const { at, since } = this.#losses.get(key)!;
    const text = `${endpoint}: ${lost}${reason === undefined ? '' : `: ${reason}`}`;
    if (now - at <= LOSS_MS) this.#problems.set(key, { text, since });
  }

  #silent(now: number): (Problem & { name: string })[] {
    if (this.idleMs === 0) return [];
    return this.#received
      .filter(({ at, connected }) => connected && now - at > this.idleMs)
      .map(({ name, at }) => {
        const silence = showDuration(1000 * Math.floor((now - at) / 1000));
        return { name, text: `${name}: nothing received for ${silence}`, since: at };
      });
  }
}

/** Endpoints that are not connected, by name, with the reason. */
function disconnected(routes: readonly RouteStats[]): Map<string, string> {
  const endpoints = routes.flatMap(({ source, sinks }): Named[] => [source, ...sinks]);
  return new Map(
    endpoints.flatMap(({ name, disconnected: why }) =>
      why === undefined ? [] : [[name, `${name}: not connected: ${why}`]],
    ),
  );
}

function ending({ file, notAfter }: Certificate, now: number): [key: string, text: string][] {
  const days = Math.floor((notAfter - now) / DAY_MS);
  if (days >= CERTIFICATE_DAYS) return [];
  const key = `certificate: ${file}`;
  return [[key, days < 0 ? `${key}: has ended` : `${key}: ends in ${days} days`]];
}
