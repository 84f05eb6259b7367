import { closeSync, readSync, writeSync } from 'node:fs';
import { loadLibc } from 'mproxy-net/linux/libc';
import { EPOLLIN, EPOLLOUT, Loop } from 'mproxy-net/linux/loop';
import { Timer } from 'mproxy-net/linux/timer-wheel';
import t, { type Test } from 'tap';

/** What an event counter counts up by (eventfd(2)). */
const COUNT = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
const skip = process.platform !== 'linux' && 'epoll is of Linux';

/** A loop, and descriptors that are readable from the start: event counters (eventfd(2)). */
function open(t: Test, count: number) {
  const libc = loadLibc();
  const loop = new Loop(libc);
  const fds = Array.from({ length: count }, () => libc.eventfd(1, 0));
  t.teardown(() => {
    loop.close();
    for (const fd of fds) closeSync(fd);
  });
  return { libc, loop, fds };
}

t.test('what is readable is called in each turn until it was read', { skip }, async (t) => {
  const { loop, fds } = open(t, 2);
  const called: number[] = [];
  for (const fd of fds) loop.add(fd, () => called.push(fd));
  loop.turn(-1);
  loop.turn(-1);
  t.strictSame(called.toSorted(), [fds[0], fds[0], fds[1], fds[1]].toSorted());
  for (const fd of fds) readSync(fd, Buffer.alloc(8));
  called.length = 0;
  loop.turn(0);
  t.strictSame(called, []);
});

t.test('of more than one call reports, none is called twice before all were called', { skip }, async (t) => {
  const { loop, fds } = open(t, 150);
  const calls = new Map<number, number>();
  for (const fd of fds) loop.add(fd, () => calls.set(fd, (calls.get(fd) ?? 0) + 1));
  for (let turn = 0; turn < 3; turn++) loop.turn(-1);
  t.equal(calls.size, fds.length);
  t.ok(Math.max(...calls.values()) <= 2);
});

t.test('what was removed in a turn is not called in it, nor what took its number', { skip }, async (t) => {
  const { loop, fds } = open(t, 2);
  const called: string[] = [];
  const replace = (which: string, other: number) => () => {
    called.push(which);
    if (called.length > 1) return;
    loop.remove(other);
    loop.add(other, () => called.push('new'));
  };
  loop.add(fds[0]!, replace('first', fds[1]!));
  loop.add(fds[1]!, replace('second', fds[0]!));
  loop.turn(-1);
  t.equal(called.length, 1, 'one alone');
  loop.turn(-1);
  t.ok(called.includes('new'), 'the new one from the next turn on');
});

t.test(
  'a descriptor that became another file is called for that, once it is renewed',
  { skip },
  async (t) => {
    const { libc, loop, fds } = open(t, 1);
    const fresh = libc.eventfd(1, 0);
    let called = 0;
    loop.add(fds[0]!, () => called++);
    libc.dup2(fresh, fds[0]!);
    closeSync(fresh);
    loop.turn(0);
    t.equal(called, 0, 'its registration went with the old file');
    loop.renew(fds[0]!);
    loop.renew(fds[0]!);
    loop.turn(0);
    t.equal(called, 1);
  },
);

t.test('a descriptor that became another file can be removed', { skip }, async (t) => {
  const { libc, loop, fds } = open(t, 1);
  loop.add(fds[0]!, () => t.fail('it was removed'));
  const fresh = libc.eventfd(1, 0);
  libc.dup2(fresh, fds[0]!);
  closeSync(fresh);
  loop.remove(fds[0]!);
  loop.turn(0);
});

t.test('what cannot be watched is refused with the error of the system', { skip }, async (t) => {
  const { loop } = open(t, 0);
  t.throws(() => loop.add(99_999, () => undefined), { code: 'EBADF', syscall: 'epoll_ctl' });
});

t.test('an edge is told once, with what it is; a later one again', { skip }, async (t) => {
  const { loop, fds } = open(t, 1);
  const events: number[] = [];
  loop.addEdge(fds[0]!, { onEvents: (mask) => events.push(mask) });
  loop.turn(-1);
  loop.turn(0);
  t.strictSame(events, [EPOLLIN | EPOLLOUT], 'what it is when it is added');
  writeSync(fds[0]!, COUNT);
  loop.turn(-1);
  loop.turn(0);
  t.equal(events.length, 2);
});

t.test('after an exception of one that was called, the next turn calls the others', { skip }, async (t) => {
  const { loop, fds } = open(t, 5);
  let called = 0;
  const fail = (what: string) => {
    called++;
    throw new Error(what);
  };
  for (const fd of fds) loop.addEdge(fd, { onEvents: () => fail('event') });
  for (let i = 0; i < 3; i++) loop.defer({ run: () => fail('job') });
  for (let i = 0; i < 2; i++) loop.setTimer(new Timer(() => fail('timer')), 0);
  for (const _ of fds) t.throws(() => loop.turn(-1), { message: 'event' });
  t.equal(called, 5, 'each once');
  for (let i = 0; i < 2; i++) t.throws(() => loop.turn(2), { message: 'timer' });
  for (let i = 0; i < 3; i++) t.throws(() => loop.turn(-1), { message: 'job' });
  t.equal(loop.busy, false);
  for (let i = 0; i < 2; i++) loop.turn(0);
  t.equal(called, 10);
});

t.test(
  'a job that is deferred by a job waits for the next turn, which does not wait',
  { skip },
  async (t) => {
    const { loop } = open(t, 0);
    let runs = 0;
    const job = {
      run: () => {
        if (++runs < 3) loop.defer(job);
      },
    };
    loop.defer(job);
    for (let turn = 1; turn <= 3; turn++) {
      t.equal(loop.wait, 0);
      loop.turn(-1);
      t.equal(runs, turn);
    }
    t.equal(loop.wait, Number.POSITIVE_INFINITY);
  },
);

t.test('a turn waits for the next timer, and no longer', { skip }, async (t) => {
  const { loop } = open(t, 0);
  const order: string[] = [];
  const [first, second, never] = ['first', 'second', 'never'].map(
    (name) => new Timer(() => order.push(name)),
  );
  const begin = performance.now();
  loop.setTimer(second!, 30);
  loop.setTimer(never!, 20);
  loop.setTimer(first!, 10);
  loop.clearTimer(never!);
  while (order.length < 2) loop.turn(-1);
  const took = performance.now() - begin;
  t.strictSame(order, ['first', 'second']);
  t.ok(took >= 30 && took < 5000, `${took} ms`);
});

t.test(
  'a turn whose time is up leaves the rest to the next, but never all of the jobs',
  { skip },
  async (t) => {
    const { loop, fds } = open(t, 20);
    let called = 0;
    for (const fd of fds) loop.addEdge(fd, { onEvents: () => called++ });
    for (let i = 0; i < 2; i++) loop.defer({ run: () => called++ });
    // It looks at the clock after 4 events, and after each job.
    for (const count of [4, 8, 12, 16, 21, 22]) {
      t.ok(loop.busy);
      loop.turn(0, 0);
      t.equal(called, count);
    }
    t.notOk(loop.busy);
  },
);

t.test('the jobs that a turn left are done before the next events', { skip }, async (t) => {
  const { loop, fds } = open(t, 1);
  const order: string[] = [];
  for (const name of ['first', 'second']) loop.defer({ run: () => order.push(name) });
  loop.turn(0, 0);
  loop.add(fds[0]!, () => order.push('event'));
  loop.turn(0, 0);
  loop.turn(0, 0);
  t.strictSame(order, ['first', 'second', 'event']);
});

t.test('a timer of no finite time is an error', { skip }, async (t) => {
  const { loop } = open(t, 1);
  const timer = new Timer(() => t.fail('due'));
  for (const ms of [Number.POSITIVE_INFINITY, Number.NaN, 2 ** 31])
    t.throws(() => loop.setTimer(timer, ms), RangeError);
});
