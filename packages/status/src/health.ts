import { showDuration } from 'mproxy-base';
import type { Certificate, Lost, Notice, SinkCounts, SourceCounts } from 'mproxy-flow';
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
  /** Of each route: the datagrams of its source, and when they were last more. */
  readonly #received: { name: string; datagrams: number; at: number }[] = [];
  readonly #losses = new Map<string, { count: number; since: number; at: number }>();
  /** Reported by events; they last until the program ends, or another event ends them. */
  readonly #reported = new Map<string, string>();
  #routeFailed: string | undefined;
  #wellSince = Date.now();
  /** Of the program. */
  state: State = 'starting';

  /** @param idleMs silence of an input that is unhealthy; 0: never */
  constructor(private readonly idleMs: number) {}

  /** What is wrong, for one line; undefined: nothing. Without the problems of peers and losses. */
  get unhealthy(): string | undefined {
    return this.#failing ?? this.#silent(Date.now())[0]?.text;
  }

  /** What is wrong besides silent inputs. */
  get #failing(): string | undefined {
    return this.state === 'running' ? this.#routeFailed : this.state;
  }

  get problems(): Problem[] {
    return [...this.#problems.values()];
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
  look({ stats: { routes }, losses, certificates }: Snapshot): void {
    const now = Date.now();
    for (const [i, { source }] of routes.entries()) this.#note(i, source, now);
    const silent = this.#silent(now);
    const failing = this.#failing;
    const found = [
      ...(failing === undefined ? [] : [failing]),
      ...routes.flatMap(({ source, sinks }) => [...disconnected(source), ...sinks.flatMap(disconnected)]),
      ...this.#reported.values(),
      ...certificates.flatMap((certificate) => ending(certificate, now)),
    ];
    const old = this.#problems;
    const problems = found.map((text): [string, Problem] => [
      text,
      { text, since: old.get(text)?.since ?? now },
    ]);
    this.#problems = new Map([
      ...problems,
      ...silent.map((one): [string, Problem] => [`silent ${one.name}`, one]),
    ]);
    for (const lost of losses) this.#noteLoss(lost, now);
    if (this.#problems.size > 0) this.#wellSince = now;
  }

  #note(route: number, { name, datagrams }: SourceCounts & { name: string }, now: number): void {
    if (this.#received[route]?.datagrams !== datagrams) this.#received[route] = { name, datagrams, at: now };
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
      .filter(({ at }) => now - at > this.idleMs)
      .map(({ name, at }) => {
        const silence = showDuration(1000 * Math.floor((now - at) / 1000));
        return { name, text: `${name}: nothing received for ${silence}`, since: at };
      });
  }
}

/** Endpoints that connect, and are not connected. Listening sources alone have a sender timeout. */
function disconnected(endpoint: (SourceCounts | SinkCounts) & { name: string }): string[] {
  const { name, connections, timedOut } = endpoint;
  const listens = 'empty' in endpoint && timedOut !== undefined;
  return !listens && connections?.now === 0 ? [`${name}: not connected`] : [];
}

function ending({ file, notAfter }: Certificate, now: number): string[] {
  const days = Math.floor((notAfter - now) / DAY_MS);
  if (days >= CERTIFICATE_DAYS) return [];
  return [days < 0 ? `certificate: ${file}: has ended` : `certificate: ${file}: ends in ${days} days`];
}
