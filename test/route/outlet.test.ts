import { Writable } from 'node:stream';
import { Lease } from 'mproxy-route/gather';
import { Outlet } from 'mproxy-route/outlet';
import t from 'tap';
import { Clock } from '../support/clock.js';
import { until } from '../support/wait.js';

/** A reader that takes one write at a time, when it is told to. */
class Reader extends Writable {
  taken: Buffer[] = [];
  #acknowledge: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 1, decodeStrings: false });
  }

  override _writev(chunks: { chunk: Buffer }[], callback: () => void): void {
    for (const { chunk } of chunks) this.taken.push(chunk);
    this.#acknowledge = callback;
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this._writev([{ chunk }], callback);
  }

  get waits(): boolean {
    return this.#acknowledge !== undefined;
  }

  /** Says that it has what was written; more is written then. */
  take(): void {
    const acknowledge = this.#acknowledge;
    this.#acknowledge = undefined;
    acknowledge?.();
  }

  async takeAll(outlet: Outlet): Promise<void> {
    await until('all is taken', () => {
      this.take();
      return outlet.queued === 0;
    });
  }
}

const KIB = Buffer.alloc(1024, 'k');

t.test('the queue is bounded, and a chunk is taken whole or not at all', async (t) => {
  const reader = new Reader();
  const outlet = new Outlet(reader, 10 * KIB.length);
  const offered = Array.from({ length: 20 }, () => outlet.offer(KIB));
  t.equal(offered.filter(Boolean).length, 10);
  t.equal(outlet.queued, 10 * KIB.length);
  t.notOk(outlet.offer(Buffer.of(1)), 'not even a byte more');
  await reader.takeAll(outlet);
  t.equal(Buffer.concat(reader.taken).length, 10 * KIB.length);
  t.ok(outlet.offer(KIB), 'there is room again');
});

t.test('a chunk larger than the bound goes into an empty queue', async (t) => {
  const reader = new Reader();
  const outlet = new Outlet(reader, 100);
  t.ok(outlet.offer(KIB));
  t.notOk(outlet.offer(Buffer.of(1)));
  await reader.takeAll(outlet);
  t.ok(outlet.offer(KIB));
});

t.test('chunks stay in order and are not copied', async (t) => {
  const reader = new Reader();
  const outlet = new Outlet(reader, 1024 * 1024);
  const chunks = Array.from({ length: 500 }, (_, i) => Buffer.alloc(1000, i));
  for (const chunk of chunks) outlet.offer(chunk);
  await reader.takeAll(outlet);
  t.ok(reader.taken.length === 500 && reader.taken.every((chunk, i) => chunk === chunks[i]));
});

t.test('a reader that is behind is handed a window, not the whole queue', async (t) => {
  const reader = new Reader();
  const outlet = new Outlet(reader, 64 * 1024 * 1024);
  for (let i = 0; i < 10_000; i++) outlet.offer(KIB);
  let most = 0;
  for (let i = 0; i < 10; i++) {
    await until('it is handed some', () => reader.waits);
    most = Math.max(most, reader.writableLength);
    reader.take();
  }
  t.ok(most >= 2 * KIB.length && most <= 256 * 1024, `${most} bytes at once`);
});

t.test('it tells since when its reader takes nothing', async (t) => {
  const clock = new Clock(t);
  const reader = new Reader();
  const outlet = new Outlet(reader, 1024 * 1024);
  clock.pass(5000);
  outlet.offer(KIB);
  const begin = clock.now;
  t.equal(outlet.progressAt, begin, 'nothing to take is no reproach');
  clock.pass(3000);
  outlet.offer(KIB);
  t.equal(outlet.progressAt, begin, 'more to take is no progress');
  reader.take();
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(outlet.progressAt, clock.now, 'taking is');
});

t.test('it tells when there is room', async (t) => {
  const reader = new Reader();
  const outlet = new Outlet(reader, 1024 * 1024);
  t.equal(outlet.drained(0), undefined);
  outlet.offer(KIB);
  outlet.offer(KIB);
  t.equal(outlet.drained(2 * KIB.length), undefined);
  let told = false;
  const drained = outlet.drained(0)!.then(() => {
    told = true;
  });
  await until('the first is taken', () => reader.waits);
  reader.take();
  await until('the second is written', () => reader.waits);
  t.notOk(told);
  reader.take();
  await drained;
  t.equal(outlet.queued, 0);
});

t.test('a reader that is gone takes nothing, and keeps nobody waiting', async (t) => {
  const reader = new Reader();
  const outlet = new Outlet(reader, 1024 * 1024);
  outlet.offer(KIB);
  const drained = outlet.drained(0);
  reader.destroy();
  await drained;
  t.notOk(outlet.offer(KIB));
  t.equal(outlet.drained(0), undefined);
});

t.test('a lease is held until the stream is done with its chunk', async (t) => {
  const reader = new Reader();
  const outlet = new Outlet(reader, 10 * KIB.length);
  let back = 0;
  const lease = new Lease(() => {
    back++;
  });
  t.ok(outlet.offer(KIB, lease));
  lease.done();
  await until('it is being written', () => reader.waits);
  t.equal(back, 0);
  await reader.takeAll(outlet);
  t.equal(back, 1);
});

t.test('a chunk that finds no room holds no lease', async (t) => {
  const outlet = new Outlet(new Reader(), KIB.length);
  let back = 0;
  const lease = new Lease(() => {
    back++;
  });
  outlet.offer(KIB);
  t.notOk(outlet.offer(KIB, lease));
  lease.done();
  t.equal(back, 1);
});

t.test('a reader that is gone abandons what it was handed and what waited', async (t) => {
  const reader = new Reader();
  const outlet = new Outlet(reader, 10 * KIB.length);
  const back: boolean[] = [];
  const leases = Array.from({ length: 3 }, () => new Lease((free) => back.push(free)));
  for (const lease of leases) {
    outlet.offer(KIB, lease);
    lease.done();
  }
  await until('one is being written', () => reader.waits);
  t.same(back, []);
  reader.destroy();
  await until('all are given back', () => back.length === 3);
  t.same(back, [false, false, false], 'the kernel may still read from there');
});
