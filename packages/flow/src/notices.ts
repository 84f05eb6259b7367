import { showCount } from 'mproxy-base';
import type { Program } from './program.js';

/** Notices given in one period; the others are counted in the summary at its end. */
const MOST = 10;
const PERIOD_MS = 10_000;

/** What happened, for the summary: `client connected`, and its plural where that is not made by an s. */
export type Event = readonly [one: string, many?: string];

/**
 * Notices of one address that its peers can cause without limit: the first ten in ten seconds are given as they are, and
 * the first of each kind, which may hold a remedy. Then one line says how many more there were of each kind. The last
 * summary comes when the program ends.
 */
export class NoticeLimit {
  #given = 0;
  /** Of each kind in this period: how many were counted and not given. */
  readonly #held = new Map<string, { event: Event; count: number }>();
  #holdsLoss = false;
  #timer: NodeJS.Timeout | undefined;
  #since = 0;

  /** @param where begins the summary: `clients: 127.0.0.1:9921` */
  constructor(
    private readonly where: string,
    private readonly program: Pick<Program, 'notice' | 'loss' | 'onEnd'>,
  ) {
    program.onEnd(() => this.flush());
  }

  notice(event: Event, text: string): void {
    if (this.#allows(event)) this.program.notice(text);
  }

  /** As {@link notice}, for what must reach a person. */
  loss(event: Event, text: string): void {
    if (this.#allows(event)) this.program.loss(text);
    else this.#holdsLoss = true;
  }

  /** Gives the summary of what was held back; a new period begins with the next event. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#given = 0;
    const held = [...this.#held.values()].filter(({ count }) => count > 0);
    this.#held.clear();
    if (held.length === 0) return;
    const parts = held.map(({ event, count }) => showCount(count, ...event));
    const seconds = Math.max(1, Math.round((performance.now() - this.#since) / 1000));
    const text = `${this.where}: in ${showCount(seconds, 'second')} also ${parts.join(', ')}`;
    if (this.#holdsLoss) this.program.loss(text);
    else this.program.notice(text);
    this.#holdsLoss = false;
  }

  /** @returns whether the event is reported by itself; else it is counted */
  #allows(event: Event): boolean {
    if (this.#timer === undefined) {
      this.#since = performance.now();
      this.#timer = setTimeout(() => this.flush(), PERIOD_MS);
      this.#timer.unref();
    }
    const held = this.#held.get(event[0]);
    if (!held) this.#held.set(event[0], { event, count: 0 });
    if (this.#given++ < MOST || !held) return true;
    held.count++;
    return false;
  }
}
