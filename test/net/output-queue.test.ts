import { Writable } from 'node:stream';
import { writableOutput } from 'mproxy-flow/stream/writable-output';
import { Batch } from 'mproxy-framing';
import { Coalescer, type Lease } from 'mproxy-framing/coalescer';
import { OutputQueue } from 'mproxy-net/fanout/output-queue';
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

  async takeAll(outlet: OutputQueue): Promise<void> {
    await until('all is taken', () => {
      this.take();
      return outlet.queued === 0;
    });
  }
}

function queueTo(stream: Writable, limit: number): OutputQueue {
  const queue: OutputQueue = new OutputQueue(
    writableOutput(stream, () => queue),
    limit,
  );
  return queue;
}

const KIB = Buffer.alloc(1024, 'k');
/** Memory of the queue's own for a chunk that does not lie behind the one before. */
const RANGE = 200;

/** Counts what becomes of it. */
class CountingLease implements Lease {
  held = 0;
  written = 0;
  abandoned = 0;
  hold = () => {
    this.held++;
  };
  done = () => {
    this.written++;
  };
  abandon = () => {
    this.abandoned++;
  };
}

t.test('the queue is bounded, and a chunk is taken whole or not at all', async (t) => {
  const reader = new Reader();
  const outlet = queueTo(reader, 10 * (KIB.length + RANGE));
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
  const outlet = queueTo(reader, 100);
  t.ok(outlet.offer(KIB));
  t.notOk(outlet.offer(Buffer.of(1)));
  await reader.takeAll(outlet);
  t.ok(outlet.offer(KIB));
});

t.test('chunks stay in order and are not copied', async (t) => {
  const reader = new Reader();
  const outlet = queueTo(reader, 1024 * 1024);
  const chunks = Array.from({ length: 500 }, (_, i) => Buffer.alloc(1000, i));
  for (const chunk of chunks) outlet.offer(chunk);
  await reader.takeAll(outlet);
  t.ok(reader.taken.length === 500 && reader.taken.every((chunk, i) => chunk === chunks[i]));
});

t.test('a reader that is behind is handed a window, not the whole queue', async (t) => {
  const reader = new Reader();
  const outlet = queueTo(reader, 64 * 1024 * 1024);
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
  const outlet = queueTo(reader, 1024 * 1024);
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
  const outlet = queueTo(reader, 1024 * 1024);
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
  const outlet = queueTo(reader, 1024 * 1024);
  outlet.offer(KIB);
  const drained = outlet.drained(0);
  reader.destroy();
  await drained;
  t.notOk(outlet.offer(KIB));
  t.equal(outlet.drained(0), undefined);
});

t.test('a lease is held until the stream is done with its chunk', async (t) => {
  const reader = new Reader();
  const outlet = queueTo(reader, 10 * KIB.length);
  const lease = new CountingLease();
  t.ok(outlet.offer(KIB, lease));
  await until('it is being written', () => reader.waits);
  t.match(lease, { held: 1, written: 0 });
  await reader.takeAll(outlet);
  t.match(lease, { held: 1, written: 1, abandoned: 0 });
});

t.test('a chunk that finds no room holds no lease', async (t) => {
  const outlet = queueTo(new Reader(), KIB.length);
  const lease = new CountingLease();
  outlet.offer(KIB);
  t.notOk(outlet.offer(KIB, lease));
  t.match(lease, { held: 0, written: 0 });
});

t.test('a reader that is gone abandons what it was handed and what waited', async (t) => {
  const reader = new Reader();
  const outlet = queueTo(reader, 10 * KIB.length);
  const leases = Array.from({ length: 3 }, () => new CountingLease());
  for (const lease of leases) outlet.offer(KIB, lease);
  await until('one is being written', () => reader.waits);
  reader.destroy();
  await until('all are given back', () => leases.every(({ abandoned }) => abandoned === 1));
  t.ok(
    leases.every(({ held, written }) => held === 1 && written === 0),
    'the kernel may still read from there',
  );
});

t.test('chunks that lie one behind the other are one range, written in order', async (t) => {
  const reader = new Reader();
  const outlet = queueTo(reader, 1024 * 1024);
  const bytes = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 255));
  const lease = new CountingLease();
  for (let at = 0; at < 1000; at += 10) t.ok(outlet.offer(bytes.subarray(at, at + 10), lease));
  t.equal(lease.held, 2, 'the first is being written, the others wait as one');
  await reader.takeAll(outlet);
  t.equal(reader.taken.length, 2);
  t.ok(Buffer.concat(reader.taken).equals(bytes));
  t.equal(lease.written, 2);
});

t.test('it tells how many datagrams were not taken whole', async (t) => {
  const reader = new Reader();
  const outlet = queueTo(reader, 1024 * 1024);
  const bytes = Buffer.alloc(100);
  const lease = new CountingLease();
  outlet.offer(bytes.subarray(0, 50), lease, 5);
  for (let at = 50; at < 100; at += 10) outlet.offer(bytes.subarray(at, at + 10), lease, 1);
  t.equal(outlet.datagrams, 10, 'those that are being written, and those that wait');
  await until('it is handed some', () => reader.waits);
  reader.take();
  await until('it is handed the others', () => reader.waits);
  t.equal(outlet.datagrams, 5);
  await reader.takeAll(outlet);
  t.equal(outlet.datagrams, 0);
});

t.test('a hundred readers that take nothing hold small datagrams within the limit, once', async (t) => {
  const limit = 8 * 1024 * 1024;
  const outlets = Array.from({ length: 100 }, () => queueTo(new Reader(), limit));
  const datagram = Buffer.from('!AIVDM,1,1,,A,13u?etPv2;0n:dDPwUM1U1Cb069D,0*24\r\n');
  let taken = 0;
  let refused = 0;
  const gather = new Coalescer('lines', (chunk, _datagrams, lease) => {
    for (const outlet of outlets) outlet.offer(chunk, lease) ? taken++ : refused++;
  });
  const batch = new Batch();
  batch.reset(datagram);
  batch.add(0, datagram.length);
  const memory = () => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = memory();
  while (refused === 0) {
    gather.add(batch);
    gather.flush();
  }
  const grown = memory() - before;
  t.ok(taken * datagram.length > 0.97 * outlets.length * limit, `${taken} datagrams queued`);
  t.comment(`${(grown / 2 ** 20).toFixed(1)} MiB`);
  // Besides the data: views that V8 has not collected yet.
  t.ok(grown < 3 * limit, `${grown} bytes for ${limit}`);
});
