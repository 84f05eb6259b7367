const HOUR = 3_600_000;
/** A Monday at midnight, so that weekly periods begin on Mondays and daily ones at midnight. */
const MONDAY = Date.UTC(1970, 0, 5);

/** Local time as the timestamp at which a UTC clock shows the same, in milliseconds. */
export function localClock(time: number): number {
  return time - offset(time);
}

/** The next time at which local time is a multiple of the period, counted from midnight on a Monday. */
export function nextBoundary(now: number, period: number): number {
  const local = localClock(now) - MONDAY;
  const next = MONDAY + (Math.floor(local / period) + 1) * period + offset(now);
  // Periods above an hour follow daylight saving time, so that days end at midnight; hours do not.
  const shifted = next + offset(next) - offset(now);
  return period > HOUR && shifted > now ? shifted : next;
}

function offset(time: number): number {
  return new Date(time).getTimezoneOffset() * 60_000;
}
