import { losses } from './losses.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';

/** How often counters are looked at, and how often a loss is reported at most, in milliseconds. */
const CHECK_MS = 1000;
const REPORT_MS = 10_000;

/** Reports what sources and sinks lost, soon after it happened and at the end. */
export class LossReport {
  readonly #timer = setInterval(() => this.#report(REPORT_MS), CHECK_MS);
  #reported = { total: 0, at: Number.NEGATIVE_INFINITY };

  constructor(
    private readonly sources: () => Iterable<Source>,
    private readonly sinks: () => Iterable<Sink>,
    private readonly loss: (text: string) => void,
  ) {
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The last report, of everything that was lost. */
  finish(): void {
    this.#report(0);
  }

  #report(period: number): void {
    const now = performance.now();
    const { total, text } = losses(this.sources(), this.sinks());
    const isKnown = period > 0 && total === this.#reported.total;
    if (total === 0 || isKnown || now - this.#reported.at < period) return;
    this.#reported = { total, at: now };
    this.loss(`lost: ${text}`);
  }
}
