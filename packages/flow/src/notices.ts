import { counted, EVENTS_OMITTED, type Fields, fill, type LimitedEvent, LOSSES_OMITTED } from './events.js';
import type { Program } from './program.js';

/** Limit on notices in a period; a summary at its end counts the others. */
const MAX_NOTICES = 10;
const PERIOD_MS = 10_000;

/**
 * Limits the notices about one address that its peers cause. The first ten in ten seconds are given, and the
 * first of each kind, which may hold a remedy. One line then counts the others by kind; the last one when the
 * program ends.
 */
export class NoticeLimit {
  #given = 0;
  /** By the words of a summary: the number of notices in this period that were withheld. */
  readonly #withheld = new Map<string, { event: string; count: number }>();
  #withholdsLoss = false;
  #timer: NodeJS.Timeout | undefined;
  #since = 0;

  /** @param where prefix of the summary: `clients: 127.0.0.1:9921` */
  constructor(
    private readonly where: string,
    private readonly program: Pick<Program, 'emit' | 'onEnd'>,
  ) {
    program.onEnd(() => this.flush());
  }

  emit<F extends Fields>(event: LimitedEvent<F>, fields: NoInfer<F>): void {
    if (this.#allows(event.type, fill(event.summary, fields))) this.program.emit(event, fields);
    else if (event.kind === 'loss') this.#withholdsLoss = true;
  }

  /** Gives the summary of withheld notices; the next event begins a new period. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#given = 0;
    const withheld = [...this.#withheld].filter(([, { count }]) => count > 0);
    this.#withheld.clear();
    if (withheld.length === 0) return;
    const seconds = Math.max(1, Math.round((performance.now() - this.#since) / 1000));
    this.program.emit(this.#withholdsLoss ? LOSSES_OMITTED : EVENTS_OMITTED, {
      subject: this.where,
      seconds,
      omitted: withheld.map(([words, { event, count }]) => ({ event, count, text: counted(count, words) })),
    });
    this.#withholdsLoss = false;
  }

  /** @returns whether the event is reported by itself; otherwise it is counted */
  #allows(event: string, words: string): boolean {
    if (this.#timer === undefined) {
      this.#since = performance.now();
      this.#timer = setTimeout(() => this.flush(), PERIOD_MS);
      this.#timer.unref();
    }
    const withheld = this.#withheld.get(words);
    if (!withheld) this.#withheld.set(words, { event, count: 0 });
    if (this.#given++ < MAX_NOTICES || !withheld) return true;
    withheld.count++;
    return false;
  }
}
