import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FileBody, type Part } from 'mproxy-service/static/file-body';
import t, { type Test } from 'tap';
import { Random } from '../../support/random.js';
import { until } from '../../support/wait.js';
import { bytesOf } from '../calls.js';

function fileOf(t: Test, bytes: Uint8Array): number {
  const path = join(t.testdir({}), 'file');
  writeFileSync(path, bytes);
  return openSync(path, 'r');
}

t.test('random parts of a file, with random pauses: every byte, in order', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < 20; round++) {
    const bytes = random.bytes(random.integer(1, 300_000));
    const parts: Part[] = [];
    const expected: Buffer[] = [];
    for (let i = random.integer(0, 4); i >= 0; i--) {
      const start = random.integer(0, bytes.length - 1);
      const end = random.integer(start + 1, bytes.length);
      const own = random.bytes(random.integer(0, 3));
      parts.push(own, { start, end });
      expected.push(own, bytes.subarray(start, end));
    }
    const body = new FileBody(fileOf(t, bytes), parts);
    const got: Buffer[] = [];
    await new Promise<void>((resolve, reject) =>
      body.start({
        onData(piece) {
          got.push(Buffer.from(piece));
          const pause = random.integer(0, 3);
          if (pause === 0) return;
          body.pause();
          if (pause === 1) body.resume();
          else if (pause === 2) setImmediate(() => body.resume());
          else queueMicrotask(() => body.resume());
        },
        onEnd: () => resolve(),
        onError: reject,
      }),
    );
    const whole = Buffer.concat(expected);
    t.equal(body.length, whole.length);
    t.ok(Buffer.concat(got).equals(whole));
  }
});

t.test('a paused body passes nothing on; one that is given up neither', async (t) => {
  const body = new FileBody(fileOf(t, Buffer.alloc(1_000_000)), [{ start: 0, end: 1_000_000 }]);
  let bytes = 0;
  body.start({
    onData(piece) {
      bytes += piece.length;
      body.pause();
    },
    onEnd: () => t.fail('it ended'),
    onError: (error) => t.fail(error.message),
  });
  const first = bytes;
  t.ok(first > 0 && first <= 64 * 1024);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(bytes, first);
  body.resume();
  t.equal(bytes, 2 * first);
  body.cancel();
  body.resume();
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(bytes, 2 * first);
});

t.test('a large file leaves others their turns', async (t) => {
  const size = 4_000_000;
  const body = new FileBody(fileOf(t, Buffer.alloc(size)), [{ start: 0, end: size }]);
  let [bytes, turns, ended] = [0, 0, false];
  const turn = () => {
    turns++;
    if (!ended) setImmediate(turn);
  };
  setImmediate(turn);
  body.start({
    onData: (piece) => (bytes += piece.length),
    onEnd: () => (ended = true),
    onError: (error) => t.fail(error.message),
  });
  t.ok(bytes < size, 'not all at once');
  await until('it ended', () => ended);
  t.equal(bytes, size);
  t.ok(turns >= size / (256 * 1024) - 1, `${turns} turns`);
});

t.test('no part: it ends at once', async (t) => {
  t.equal((await bytesOf(new FileBody(fileOf(t, Buffer.alloc(1)), []))).length, 0);
});
