import { closeSync, readSync } from 'node:fs';
import { loadLibc } from 'mproxy-net/linux/libc';
import { Loop } from 'mproxy-net/linux/loop';
import t, { type Test } from 'tap';

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
