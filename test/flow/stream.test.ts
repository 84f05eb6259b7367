import { mock } from 'node:test';
import { FramedStream } from 'mproxy-flow/stream/framed-stream';
import type { Frame } from 'mproxy-framing/frame';
import t, { type Test } from 'tap';

/** A stream whose timers stand still until they are told to go on, and the datagrams that it made. */
function scene(t: Test, frame: Frame, flushAfter?: number) {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const datagrams: string[] = [];
  const stream = new FramedStream({
    frame,
    payload: 10,
    flushAfter,
    deliver: (batch) => {
      batch.each((offset, length) => datagrams.push(String(batch.keep(offset, length))));
      return undefined;
    },
    counts: { datagrams: 0, bytes: 0, discarded: 0 },
  });
  /** Bytes that come, and nothing more in the same turn of the event loop. */
  const push = async (text: string) => {
    stream.push(Buffer.from(text));
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { stream, datagrams, push, pass: (ms: number) => mock.timers.tick(ms) };
}

t.test('raw: a trickle is sent when its first byte has waited for --flush-after', async (t) => {
  const { datagrams, push, pass } = scene(t, 'raw', 50);
  for (const byte of 'abcdefghi') {
    await push(byte);
    pass(20);
  }
  t.same(datagrams, ['abc', 'def', 'ghi'], 'the first at 0 ms: three came before 50 ms');
});

t.test(
  'raw: a full piece goes at once, and the time of the next begins with its own first byte',
  async (t) => {
    const { datagrams, push, pass } = scene(t, 'raw', 50);
    await push('abcdefgh');
    pass(40);
    await push('ijkl');
    t.same(datagrams, ['abcdefghij']);
    pass(40);
    t.same(datagrams, ['abcdefghij'], 'kl has waited for 40 ms');
    pass(10);
    t.same(datagrams, ['abcdefghij', 'kl']);
  },
);

t.test('raw: 50 ms are the default', async (t) => {
  const { datagrams, push, pass } = scene(t, 'raw');
  await push('a');
  pass(49);
  t.same(datagrams, []);
  pass(1);
  t.same(datagrams, ['a']);
});

for (const frame of ['lines', 'line'] as const) {
  t.test(`${frame}: an unfinished line waits for its newline without limit`, async (t) => {
    const { datagrams, push, pass } = scene(t, frame);
    await push('abc');
    pass(3_600_000);
    t.same(datagrams, []);
    await push('d\n');
    t.same(datagrams, ['abcd\n']);
  });

  t.test(`${frame}: an unfinished line goes after --flush-after, where that is given`, async (t) => {
    const { stream, datagrams, push, pass } = scene(t, frame, 1000);
    await push('login: ');
    pass(600);
    await push('x');
    pass(399);
    t.same(datagrams, []);
    pass(1);
    t.same(datagrams, ['login: x']);
    await push('y\n');
    t.same(datagrams, ['login: x', 'y\n']);
    await push('a\nb');
    t.same(datagrams.slice(2), ['a\n']);
    pass(500);
    await push('c\nd');
    t.same(datagrams.slice(3), ['bc\n']);
    pass(600);
    t.same(datagrams.slice(4), [], 'the time of bc ended with its newline');
    pass(400);
    t.same(datagrams.slice(4), ['d']);
    t.ok(await stream.breakOff(), 'the line is still open');
    t.same(datagrams.slice(5), ['\n']);
  });
}

t.test('nothing is sent twice where the end comes before the time is over', async (t) => {
  const { stream, datagrams, push, pass } = scene(t, 'raw', 50);
  await push('abc');
  await stream.end();
  pass(100);
  t.same(datagrams, ['abc']);
});
