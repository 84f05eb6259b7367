/** In each decade: ten steps, each 1.26 times the one before (ISO 3, R10). */
const STEPS = [1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8];
/** Of metrics. */
const SHOWN = [1, 2.5, 5];
/** From 0.1 ms to 100 s. */
const DECADES = [0.1, 1, 10, 100, 1000, 10_000];

/** Upper bounds of the buckets in milliseconds; one more bucket has what is above. */
export const BOUNDS = [...DECADES.flatMap((decade) => STEPS.map((step) => rounded(decade * step))), 100_000];
/** The bounds that metrics show. */
const SHOWN_BOUNDS = [...DECADES.flatMap((decade) => SHOWN.map((step) => rounded(decade * step))), 100_000];
export const BUCKETS = BOUNDS.length + 1;

function rounded(ms: number): number {
  return Number(ms.toPrecision(4));
}

/** The bucket of a duration in milliseconds. */
export function bucketOf(ms: number): number {
  let from = 0;
  let to = BOUNDS.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (ms <= BOUNDS[middle]!) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** What metrics show: the bounds in seconds, and the values in each bucket alone. */
export function shownBuckets(counts: readonly number[]): { bounds: number[]; counts: number[] } {
  const shown = new Array<number>(SHOWN_BOUNDS.length + 1).fill(0);
  let at = 0;
  for (const [i, count] of counts.entries()) {
    while (at < SHOWN_BOUNDS.length && (BOUNDS[i] ?? Number.POSITIVE_INFINITY) > SHOWN_BOUNDS[at]!) at++;
    shown[at]! += count;
  }
  return { bounds: SHOWN_BOUNDS.map((ms) => ms / 1000), counts: shown };
}

/**
 * The duration in milliseconds that a part of the values does not exceed, at most 13 % too high, and 0.1 ms at least.
 * @param part 0.5: the median
 * @returns undefined: there are no values, or it is above all bounds
 */
export function percentile(counts: readonly number[], part: number): number | undefined {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return undefined;
  let left = Math.ceil(all * part);
  for (const [i, count] of counts.entries()) {
    left -= count;
    if (left <= 0) return BOUNDS[i];
  }
  return undefined;
}
