import { parseRate } from 'mproxy-base';
import { Pacer } from 'mproxy-flow';
import { Batch } from 'mproxy-framing';
import t, { type Test } from 'tap';
import { Clock } from '../support/clock.js';
import { Random } from '../support/random.js';

const realTimer = globalThis.setTimeout;

/** A pacer whose timers take virtual time: no machine is too busy for these tests. */
class Paced {
  readonly clock: Clock;
  readonly begin: number;
  /** When each datagram was sent, in virtual milliseconds since the begin, and what it was. */
  readonly times: number[] = [];
  readonly sent: string[] = [];
  readonly stopping = new AbortController();
  readonly #pacer: Pacer;

  /** @param late by how many milliseconds a timer misses its time; one that is infinitely late never comes */
  constructor(t: Test, rate: string, late: () => number = () => 0) {
    this.clock = new Clock(t);
    this.begin = this.clock.now;
    t.teardown(() => {
      globalThis.setTimeout = realTimer;
    });
    globalThis.setTimeout = ((done: () => void, ms: number) => {
      const passes = ms + late();
      if (passes === Number.POSITIVE_INFINITY) return;
      this.clock.pass(passes);
      queueMicrotask(done);
    }) as typeof realTimer;
    const deliver = (batch: Batch) => {
      batch.each((offset, length) => {
        this.times.push(this.clock.now - this.begin);
        this.sent.push(batch.slab.toString('latin1', offset, offset + length));
      });
      return undefined;
    };
    this.#pacer = new Pacer(parseRate('--rate', rate), deliver, this.stopping.signal);
  }

  send(...datagrams: string[]): Promise<void> {
    const batch = new Batch();
    batch.reset(Buffer.from(datagrams.join('')));
    let offset = 0;
    for (const { length } of datagrams) {
      batch.add(offset, length);
      offset += length;
    }
    return this.#pacer.send(batch);
  }

  async sendMany(count: number, datagram = 'x'): Promise<void> {
    for (let left = count; left > 0; left -= 50) await this.send(...Array(Math.min(left, 50)).fill(datagram));
  }

  get unsent(): number {
    return this.#pacer.unsent;
  }

  get last(): number {
    return this.times.at(-1)!;
  }
}

t.test('datagrams a second', async (t) => {
  const paced = new Paced(t, '1000pps');
  await paced.sendMany(5);
  t.strictSame(paced.times, [0, 1, 2, 3, 4]);
});

t.test('bits of payload a second, whatever the sizes', async (t) => {
  const paced = new Paced(t, '80kbps');
  await paced.send('x'.repeat(100), 'x'.repeat(500), '', 'x'.repeat(30), 'x');
  t.strictSame(paced.times, [0, 10, 60, 60, 63]);
});

t.test('late timers never add up', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (const rate of ['100pps', '1000pps', '7777pps', '100000pps']) {
    const perMs = Number.parseInt(rate, 10) / 1000;
    const paced = new Paced(t, rate, () => random.next() * 4);
    const count = Math.min(20_000, perMs * 10_000);
    await paced.sendMany(count);
    const ideal = (count - 1) / perMs;
    t.ok(
      Math.abs(paced.last - ideal) <= 6,
      `${rate}: ${count} in ${paced.last.toFixed(1)} of ${ideal.toFixed(1)} ms`,
    );
    const worst = Math.max(...paced.times.map((time, i) => Math.abs(time - i / perMs)));
    t.ok(worst <= 6, `${rate}: none is off by more than ${worst.toFixed(1)} ms`);
  }
});

t.test('a pause of the input earns no burst, however long it is', async (t) => {
  for (const pause of [6, 50, 99, 101, 5000]) {
    const paced = new Paced(t, '1000pps');
    for (let round = 0; round < 20; round++) {
      await paced.sendMany(10);
      paced.clock.pass(pause);
    }
    const gaps = paced.times.slice(1).map((time, i) => time - paced.times[i]!);
    t.ok(Math.min(...gaps) >= 1, `${pause} ms: the smallest gap is ${Math.min(...gaps)} ms`);
    t.ok(paced.last <= 19 * (pause + 10) + 10, `${pause} ms: and nothing waits longer than it must`);
  }
});

t.test('what reading the input takes is no pause', async (t) => {
  const paced = new Paced(t, '1000pps');
  for (let i = 0; i < 100; i++) {
    await paced.sendMany(10);
    paced.clock.pass(3);
  }
  t.ok(paced.last <= 1000, `1000 datagrams in ${paced.last} ms`);
});

t.test('lateness is caught up, and more than a tenth of a second is not', async (t) => {
  for (const [stall, caughtUp] of [
    [90, true],
    [4000, false],
  ] as const) {
    let timer = 0;
    const paced = new Paced(t, '1000pps', () => (timer++ === 10 ? stall : 0));
    await paced.sendMany(1000);
    const late = paced.last - 999;
    t.ok(caughtUp ? late <= 1 : late >= stall - 101, `${stall} ms: ${late} ms late at the end`);
  }
});

t.test('batches that were given together go one after another, and each tells its own end', async (t) => {
  const paced = new Paced(t, '1000pps');
  const sentAtEnd: number[] = [];
  const ends = ['ab', 'cd', 'ef'].map(async (pair) => {
    await paced.send(...pair);
    sentAtEnd.push(paced.sent.length);
  });
  await Promise.all(ends);
  t.equal(paced.sent.join(''), 'abcdef');
  t.strictSame(paced.times, [0, 1, 2, 3, 4, 5]);
  t.ok(sentAtEnd.every((sent, i) => sent >= 2 * (i + 1)));
});

t.test('who stops does not wait for the schedule, and what was not sent is told', async (t) => {
  const paced = new Paced(t, '1pps');
  await paced.send('a');
  paced.stopping.abort();
  await paced.sendMany(100, 'xy');
  t.strictSame(paced.sent, ['a']);
  t.equal(paced.unsent, 200, 'bytes');
  t.ok(paced.clock.now - paced.begin <= 1000);
});

t.test('who is stopped while it waits ends at once', async (t) => {
  const paced = new Paced(t, '1pps', () => Number.POSITIVE_INFINITY);
  const sending = paced.send('a', 'b', 'c');
  setImmediate(() => paced.stopping.abort());
  await sending;
  t.strictSame(paced.sent, ['a']);
  t.equal(paced.unsent, 2, 'bytes');
});
