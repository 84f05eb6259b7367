import { type Counters, type LossWords, type Paths, valuesOf } from './counter.js';
import { SINK_COUNTERS, SOURCE_COUNTERS } from './counters.js';
import type { Lost } from './events.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';

/** How often counters are looked at, and how often a loss is reported at most, in milliseconds. */
const CHECK_MS = 1000;
const REPORT_MS = 10_000;

type Kinds<C, E> = (LossWords<C, E> & { counter: Paths<C> })[];
const SOURCE_LOSSES = lossesAmong(SOURCE_COUNTERS);
const SINK_LOSSES = lossesAmong(SINK_COUNTERS);

/** The counters that count losses, in the order of the report. */
function lossesAmong<C, E>(counters: Counters<C, E>): Kinds<C, E> {
  return (Object.keys(counters) as Paths<C>[])
    .flatMap((counter) => {
      const { loss } = counters[counter];
      return loss ? [{ counter, ...loss }] : [];
    })
    .sort((one, other) => one.order - other.order);
}

/** Reports what sources and sinks lost, soon after it happened and at the end. */
export class LossReport {
  readonly #timer = setInterval(() => this.#report(REPORT_MS), CHECK_MS);
  #reported = { total: 0, at: Number.NEGATIVE_INFINITY };

  constructor(
    private readonly sources: () => Source[],
    private readonly sinks: () => Sink[],
    private readonly emit: (losses: Lost[]) => void,
  ) {
    this.#timer.unref();
  }

  /** Everything that was lost since the start. */
  losses(): Lost[] {
    return [...losses(this.sources(), SOURCE_LOSSES), ...losses(this.sinks(), SINK_LOSSES)];
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
    const all = this.losses();
    const total = all.reduce((sum, { count }) => sum + count, 0);
    const isKnown = period > 0 && total === this.#reported.total;
    if (total === 0 || isKnown || now - this.#reported.at < period) return;
    this.#reported = { total, at: now };
    this.emit(all);
  }
}

/** All losses of these endpoints since they were opened, in the order of the report. */
function losses<C extends object, E extends { name: string; counts: C }>(
  endpoints: E[],
  kinds: Kinds<C, E>,
): Lost[] {
  const found: Lost[] = [];
  for (const endpoint of endpoints) {
    const { name, counts } = endpoint;
    for (const { counter, applies, lost, reason, remedy } of kinds) {
      if (applies?.(counts) === false) continue;
      for (const [count, label] of valuesOf(counts, counter)) {
        if (count === 0) continue;
        found.push({
          endpoint: name,
          counter,
          label: label || undefined,
          count,
          lost: lost(count, endpoint, counts, label),
          reason: typeof reason === 'function' ? reason(endpoint) : reason,
          remedy: remedy?.(endpoint, label),
        });
      }
    }
  }
  return found;
}
