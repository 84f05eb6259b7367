import { Timer, TimerWheel } from 'mproxy-net/linux/timer-wheel';
import t from 'tap';
import { Random } from '../support/random.js';

/** Takes all that is due. */
function due(wheel: TimerWheel, now: number): Timer[] {
  const timers: Timer[] = [];
  for (let timer = wheel.take(now); timer; timer = wheel.take(now)) timers.push(timer);
  return timers;
}

const timer = () => new Timer(() => undefined);

const DAY = 24 * 3600 * 1000;
const TABLE: [start: number, deadline: number][] = [
  [0, 0],
  [0, 1],
  [0, 31],
  [0, 32],
  [0, 1023],
  [0, 1024],
  // Across the border of a slot of every level.
  [31, 32],
  [1023, 1025],
  [32 ** 3 - 1, 32 ** 3],
  [32 ** 6 - 1, 32 ** 6 + 1],
  [32 ** 9 - 2, 32 ** 9 - 1],
  [123.75, 124.5],
  [5, 3 * DAY],
  [400 * DAY, 800 * DAY],
];

for (const [start, deadline] of TABLE) {
  t.test(`set at ${start} ms to ${deadline} ms, it is due then, and neither before nor twice`, async (t) => {
    const wheel = new TimerWheel(start);
    const one = timer();
    wheel.set(one, deadline);
    let looks = 0;
    for (let now = start; ; now += wheel.wait(now)) {
      const taken = due(wheel, now);
      if (taken.length > 0) {
        t.strictSame(taken, [one]);
        t.ok(now >= deadline && now < deadline + 1, `at ${now}`);
        break;
      }
      t.ok(wheel.wait(now) > 0, 'else it would spin');
      if (++looks > 20) throw new Error('looked at too often');
    }
    t.equal(one.deadline, undefined);
    t.equal(wheel.size, 0);
    t.equal(wheel.wait(deadline), Number.POSITIVE_INFINITY);
    t.strictSame(due(wheel, deadline + DAY), []);
  });
}

t.test('cleared or set to another time, it is not due at the first one', async (t) => {
  const wheel = new TimerWheel(0);
  const [cleared, moved, kept] = [timer(), timer(), timer()];
  for (const one of [cleared, moved, kept]) wheel.set(one, 100);
  wheel.clear(cleared);
  wheel.clear(cleared);
  wheel.set(moved, 5000);
  t.equal(wheel.size, 2);
  t.strictSame(due(wheel, 100), [kept]);
  t.strictSame(due(wheel, 4999), []);
  t.strictSame(due(wheel, 5000), [moved]);
});

t.test('one that was missed by far is due at once', async (t) => {
  const wheel = new TimerWheel(0);
  const late = timer();
  due(wheel, 10_000);
  wheel.set(late, 3);
  t.equal(wheel.wait(10_000), 0);
  t.strictSame(due(wheel, 10_000), [late]);
});

t.test('random sets, clears and times: the wheel agrees with a list', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  let now = random.integer(0, 2 ** 40);
  const wheel = new TimerWheel(now);
  const timers = Array.from({ length: 200 }, timer);
  const deadlines = new Map<Timer, number>();
  for (let step = 0; step < 20_000; step++) {
    const one = timers[random.integer(0, timers.length - 1)]!;
    if (random.integer(0, 3) === 0) {
      wheel.clear(one);
      deadlines.delete(one);
    } else {
      const deadline = now + random.integer(0, 2 ** random.integer(0, 24));
      wheel.set(one, deadline);
      deadlines.set(one, deadline);
    }
    if (random.integer(0, 4) > 0) continue;
    const first = Math.min(...deadlines.values());
    if (wheel.wait(now) > Math.max(0, Math.ceil(first) - now)) t.fail('it waits for too long');
    now += random.integer(0, 2 ** random.integer(0, 20)) / 4;
    const taken = new Set(due(wheel, now));
    for (const [timer, deadline] of deadlines) {
      // The resolution is 1 ms.
      if (taken.has(timer) !== Math.ceil(deadline) <= now) t.fail(`${deadline} at ${now}`);
      if (taken.has(timer)) deadlines.delete(timer);
    }
    if (wheel.size !== deadlines.size) t.fail(`${wheel.size} timers instead of ${deadlines.size}`);
  }
  t.equal(wheel.size, deadlines.size);
});
