const HOUR = 3_600_000;
/** A Monday: a period of a week begins on one. Every day begins at a multiple of a day after it. */
const MONDAY = Date.UTC(1970, 0, 5);

/** What the local clock shows, as the milliseconds at which a clock of UTC shows it. */
export function localClock(time: number): number {
  return time - offset(time);
}

/** The next time at which the local clock shows a multiple of the period, counted from a Monday's midnight. */
export function nextBoundary(now: number, period: number): number {
  const local = localClock(now) - MONDAY;
  const next = MONDAY + (Math.floor(local / period) + 1) * period + offset(now);
  // A day ends at midnight, though daylight saving time began or ended in it; an hour is an hour.
  const shifted = next + offset(next) - offset(now);
  return period > HOUR && shifted > now ? shifted : next;
}

function offset(time: number): number {
  return new Date(time).getTimezoneOffset() * 60_000;
}
