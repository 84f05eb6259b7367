import { nextBoundary } from 'mproxy-flow/endpoints/file/rotation/clock';
import t from 'tap';

const HOUR = 3_600_000;

/** The next boundary of a local clock, as local times. */
function boundaries(zone: string, from: string, period: number, count: number): string[] {
  const before = process.env.TZ;
  process.env.TZ = zone;
  try {
    const found: string[] = [];
    for (let now = Date.parse(from); found.length < count; ) {
      const next = nextBoundary(now, period);
      if (next <= now) throw new Error(`${next} is not after ${now}`);
      found.push(new Date(next).toString().slice(0, 21));
      now = next;
    }
    return found;
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
}

t.test('an hour is on the hour and a day at midnight, of the local clock', async (t) => {
  t.same(boundaries('Asia/Kolkata', '2026-03-05T10:11:12+05:30', HOUR, 2), [
    'Thu Mar 05 2026 11:00',
    'Thu Mar 05 2026 12:00',
  ]);
  t.same(boundaries('America/New_York', '2026-07-05T23:59:59-04:00', 24 * HOUR, 2), [
    'Mon Jul 06 2026 00:00',
    'Tue Jul 07 2026 00:00',
  ]);
  t.same(boundaries('UTC', '2026-07-05T00:00:00Z', 15 * 60_000, 1), ['Sun Jul 05 2026 00:15']);
  t.same(boundaries('UTC', '2026-07-01T00:00:00Z', 7 * 24 * HOUR, 1), ['Mon Jul 06 2026 00:00']);
});

t.test('a day ends at midnight when daylight saving time begins or ends in it', async (t) => {
  for (const day of ['28', '29']) {
    const from = `2026-03-${day}T00:00:00+01:00`;
    t.same(boundaries('Europe/Berlin', from, 24 * HOUR, 1), [
      day === '28' ? 'Sun Mar 29 2026 00:00' : 'Mon Mar 30 2026 00:00',
    ]);
  }
  t.same(boundaries('Europe/Berlin', '2026-10-25T00:00:00+02:00', 24 * HOUR, 2), [
    'Mon Oct 26 2026 00:00',
    'Tue Oct 27 2026 00:00',
  ]);
});

t.test('an hour is an hour when the clock changes', async (t) => {
  t.same(boundaries('Europe/Berlin', '2026-10-25T01:30:00+02:00', HOUR, 3), [
    'Sun Oct 25 2026 02:00',
    'Sun Oct 25 2026 02:00',
    'Sun Oct 25 2026 03:00',
  ]);
  t.same(boundaries('Europe/Berlin', '2026-03-29T01:30:00+01:00', HOUR, 2), [
    'Sun Mar 29 2026 03:00',
    'Sun Mar 29 2026 04:00',
  ]);
});
