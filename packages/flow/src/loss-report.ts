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

/** Counters whose losses events of their own tell. */
const TOLD = new Set(
  Object.entries(SOURCE_COUNTERS).flatMap(([path, { loss }]) => (loss?.isTold ? [path] : [])),
);

/** Reports what sources and sinks lost since the start, soon after it became more; at the end, unless the last report said it. */
export class LossReport {
  readonly #timer = setInterval(() => this.#check(), CHECK_MS);
  #reported = { all: 0, untold: 0, at: Number.NEGATIVE_INFINITY };

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

  /** The last report. */
  finish(): void {
    const losses = this.losses();
    if (countOf(losses) !== this.#reported.all) this.#report(losses);
  }

  #check(): void {
    if (performance.now() - this.#reported.at < REPORT_MS) return;
    const losses = this.losses();
    if (countOf(untold(losses)) !== this.#reported.untold) this.#report(losses);
  }

  #report(losses: Lost[]): void {
    this.#reported = { all: countOf(losses), untold: countOf(untold(losses)), at: performance.now() };
    this.emit(losses);
  }
}

function untold(losses: readonly Lost[]): Lost[] {
  return losses.filter(({ counter }) => !TOLD.has(counter));
}

function countOf(losses: readonly Lost[]): number {
  return losses.reduce((sum, { count }) => sum + count, 0);
}

/** All losses of these endpoints since they were opened, in the order of the report. */
function losses<C extends object, E extends { name: string; counts: C }>(
  endpoints: E[],
  kinds: Kinds<C, E>,
): Lost[] {
  const found: Lost[] = [];
  for (const endpoint of endpoints) {
    const { name, counts } = endpoint;
    for (const { counter, applies, isOther, lost, reason, remedy } of kinds) {
      if (applies?.(counts) === false) continue;
      for (const [count, label] of valuesOf(counts, counter)) {
        if (count === 0) continue;
        found.push({
          endpoint: name,
          counter,
          label: label || undefined,
          count,
          amount: isOther ? 0 : count,
          lost: lost(count, endpoint, counts, label),
          reason: typeof reason === 'function' ? reason(endpoint) : reason,
          remedy: remedy?.(endpoint, label),
        });
      }
    }
  }
  return found;
}
