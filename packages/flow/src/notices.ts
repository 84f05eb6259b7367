import { showCount } from 'mproxy-base';
import type { Program } from './program.js';

/** Limit on notices in a period; a summary at its end counts the others. */
const MAX_NOTICES = 10;
const PERIOD_MS = 10_000;

/** An event in the summary: `client connected`, and its plural where that is not formed with an s. */
export type Event = readonly [one: string, many?: string];

/**
 * Limits the notices about one address that its peers cause. The first ten in ten seconds are given, and the
 * first of each kind, which may hold a remedy. One line then counts the others by kind; the last one when the
 * program ends.
 */
export class NoticeLimit {
  #given = 0;
  /** For each kind in this period, the number of notices that were withheld. */
  readonly #withheld = new Map<string, { event: Event; count: number }>();
  #withholdsLoss = false;
  #timer: NodeJS.Timeout | undefined;
  #since = 0;

  /** @param where prefix of the summary: `clients: 127.0.0.1:9921` */
  constructor(
    private readonly where: string,
    private readonly program: Pick<Program, 'notice' | 'loss' | 'onEnd'>,
  ) {
    program.onEnd(() => this.flush());
  }

  notice(event: Event, text: string): void {
    if (this.#allows(event)) this.program.notice(text);
  }

  /** Like {@link notice}, for a notice of kind `loss`. */
  loss(event: Event, text: string): void {
    if (this.#allows(event)) this.program.loss(text);
    else this.#withholdsLoss = true;
  }

  /** Gives the summary of withheld notices; the next event begins a new period. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#given = 0;
    const withheld = [...this.#withheld.values()].filter(({ count }) => count > 0);
    this.#withheld.clear();
    if (withheld.length === 0) return;
    const parts = withheld.map(({ event, count }) => showCount(count, ...event));
    const seconds = Math.max(1, Math.round((performance.now() - this.#since) / 1000));
    const text = `${this.where}: in ${showCount(seconds, 'second')} also ${parts.join(', ')}`;
    if (this.#withholdsLoss) this.program.loss(text);
    else this.program.notice(text);
    this.#withholdsLoss = false;
  }

  /** @returns whether the event is reported by itself; otherwise it is counted */
  #allows(event: Event): boolean {
    if (this.#timer === undefined) {
      this.#since = performance.now();
      this.#timer = setTimeout(() => this.flush(), PERIOD_MS);
      this.#timer.unref();
    }
    const withheld = this.#withheld.get(event[0]);
    if (!withheld) this.#withheld.set(event[0], { event, count: 0 });
    if (this.#given++ < MAX_NOTICES || !withheld) return true;
    withheld.count++;
    return false;
  }
}
