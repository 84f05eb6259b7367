import { once } from 'node:events';
import { constants } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Batch } from 'mproxy-framing';
import { type HandedOver, ThreadFile } from 'mproxy-net';
import { FileLock } from 'mproxy-net/linux/file-lock';
import { FileWriter } from 'mproxy-net/linux/writer';
import t from 'tap';
import { FakeLibc } from './fake-libc.js';

const { ENOSPC } = constants.errno;

/** A file with so much room, threads that write to it, and what they handed over. */
class Disk {
  written = '';
  room = Number.POSITIVE_INFINITY;
  readonly file = new ThreadFile();
  readonly handed: HandedOver[] = [];
  readonly #fake = new FakeLibc();

  constructor() {
    this.#fake.onWrite = (bytes) => {
      const taken = Math.min(this.room, bytes.length);
      if (taken === 0) return { errno: ENOSPC };
      this.room -= taken;
      this.written += bytes.toString('latin1', 0, taken);
      return taken;
    };
  }

  /** One more thread; @returns how it writes a batch */
  thread(endsLines = false): (...datagrams: string[]) => void {
    const target = this.file.target(3, endsLines);
    const outlet = new FileWriter(this.#fake.libc, target, (piece) => this.handed.push(piece));
    const batch = new Batch();
    return (...datagrams) => {
      batch.reset(Buffer.from(datagrams.join('')));
      let at = 0;
      for (const { length } of datagrams) {
        batch.add(at, length);
        at += length;
      }
      outlet.write(batch);
    };
  }

  /** The event loop writes what it may, of pieces in the order given. */
  loop(pieces: HandedOver[]): number {
    const due = pieces.flatMap((piece) => this.file.take(piece));
    for (const { bytes } of due) this.written += Buffer.from(bytes).toString('latin1');
    this.file.allWritten();
    return due.length;
  }
}

t.test('the rest of one thread is never torn by another thread of the same file', async (t) => {
  const disk = new Disk();
  const [one, two] = [disk.thread(), disk.thread()];
  one('one-a ', 'one-b ');
  two('two-a ');
  t.equal(disk.written, 'one-a one-b two-a ');
  disk.room = 9;
  one('one-c ', 'one-d ', 'one-e ');
  disk.room = 100;
  two('two-b ');
  one('one-f ');
  t.equal(disk.written, 'one-a one-b two-a one-c one', 'nobody writes while a rest waits');
  t.strictSame(disk.file.counts, { datagrams: 4, bytes: 27, dropped: 0 });
  t.strictSame(
    disk.handed.map(({ ends, begun }) => ({ ends, begun })),
    [
      { ends: [3, 9], begun: true },
      { ends: [6], begun: false },
      { ends: [6], begun: false },
    ],
  );
  const [rest, second, third] = disk.handed.splice(0);
  t.equal(disk.loop([second!, third!]), 0, 'what overtook the rest waits for it');
  t.equal(disk.loop([rest!]), 3);
  t.equal(disk.written, 'one-a one-b two-a one-c one-d one-e two-b one-f ');
  two('two-c');
  t.ok(disk.written.endsWith('two-c'), 'and the threads write by themselves again');
  t.equal(disk.handed.length, 0);
});

t.test('what was handed over since the event loop wrote keeps the threads waiting', async (t) => {
  const disk = new Disk();
  const [one, two] = [disk.thread(), disk.thread()];
  disk.room = 1;
  one('one');
  disk.room = 100;
  const early = disk.handed.splice(0);
  two('two');
  disk.loop(early);
  one('three');
  t.equal(disk.written, 'one');
  disk.loop(disk.handed.splice(0));
  t.equal(disk.written, 'onetwothree');
});

t.test('a file is given no more than its limit, and what it had counts', async (t) => {
  const disk = new Disk();
  disk.file.limit = 10;
  disk.file.size = 2;
  const [one, two] = [disk.thread(), disk.thread()];
  one('12345678');
  t.equal(disk.written, '12345678');
  one('9');
  two('10');
  t.equal(disk.written, '12345678', 'what is full is full for all threads');
  t.strictSame(
    disk.handed.map(({ ends, begun }) => ({ ends, begun })),
    [
      { ends: [1], begun: false },
      { ends: [2], begun: false },
    ],
  );
  disk.file.size = 0;
  one('11');
  t.equal(disk.handed.length, 3, 'the event loop comes first');
  disk.loop(disk.handed.splice(0));
  one('12');
  t.equal(disk.written, '123456789101112');
  t.equal(disk.file.size, 2, 'of what was really written');
});

t.test('nothing is done between two writes while a thread is in one', async (t) => {
  const file = new ThreadFile();
  let done = 0;
  const nested = () => t.notOk(file.inTurn(() => done++));
  t.ok(file.inTurn(nested));
  t.ok(file.inTurn(() => done++));
  t.equal(done, 1);
});

t.test('a newline that did not fit comes with the rest', async (t) => {
  const disk = new Disk();
  const write = disk.thread(true);
  disk.room = 3;
  write('one', 'two\n', '', 'six');
  disk.loop(disk.handed.splice(0));
  t.equal(disk.written, 'one\ntwo\nsix\n');
});

t.test('what is under way to a busy event loop is bounded, and the rest is counted', async (t) => {
  const disk = new Disk();
  const write = disk.thread();
  disk.room = 0;
  const datagram = 'x'.repeat(1_000_000);
  for (let i = 0; i < 30; i++) write(datagram, 'y');
  const kept = disk.handed.length;
  t.ok(kept >= 4 && kept <= 8, `${kept} of 30 megabytes`);
  t.equal(disk.file.counts.dropped, 2 * (30 - kept));
  t.equal(disk.loop(disk.handed.splice(0)), kept);
  disk.room = 10;
  write('after');
  t.equal(disk.written.length, kept * 1_000_001 + 5);
  t.strictSame(disk.file.counts, { datagrams: 1, bytes: 5, dropped: 2 * (30 - kept) });
});

/** A thread that hands over so much as soon as it has its turn, and tells its ticket. */
const HANDS_OVER = `
import { FileLock } from ${JSON.stringify(import.meta.resolve('mproxy-net/linux/file-lock'))};
import { parentPort, workerData } from 'node:worker_threads';
const { buffer, bytes } = workerData;
const arrears = new FileLock(buffer);
parentPort.postMessage('ready');
arrears.lock(bytes, 1);
const ticket = arrears.hand(bytes);
arrears.unlock();
parentPort.postMessage({ ticket });
`;

t.test('threads that wait for one rotation hand over in turns, and lose nothing', async (t) => {
  const arrears = new FileLock();
  arrears.limit = 1;
  const bytes = 5_000_000;
  const tickets: (number | undefined)[] = [];
  t.ok(arrears.tryLock());
  const workers = await Promise.all(
    [1, 2].map(async () => {
      const script = new URL(`data:text/javascript,${encodeURIComponent(HANDS_OVER)}`);
      const worker = new Worker(script, { workerData: { buffer: arrears.buffer, bytes } });
      await once(worker, 'message');
      worker.on('message', ({ ticket }) => tickets.push(ticket));
      return worker;
    }),
  );
  const ends = workers.map((worker) => once(worker, 'exit'));
  await wait(100);
  arrears.unlock();
  await Promise.race(ends);
  await wait(100);
  t.strictSame(tickets, [1], 'the other waits');
  arrears.arrived(bytes);
  arrears.writtenUpTo(1);
  await Promise.all(ends);
  t.strictSame(tickets, [1, 2]);
});
