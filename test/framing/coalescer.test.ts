import { Batch } from 'mproxy-framing';
import { Coalescer, type Lease } from 'mproxy-framing/coalescer';
import t from 'tap';

/** A chunk that was passed on, with its text at that time. */
interface Passed {
  chunk: Buffer;
  text: string;
  datagrams: number;
  lease: Lease;
}

function scene(hold: boolean, frame: 'lines' | 'line' = 'lines') {
  const passed: Passed[] = [];
  const gather = new Coalescer(frame, (chunk, datagrams, lease) => {
    if (hold) lease.hold();
    passed.push({ chunk, text: chunk.toString('latin1'), datagrams, lease });
  });
  const add = (letter: string, length: number) => {
    const batch = new Batch();
    batch.reset(Buffer.from(letter.repeat(length)));
    batch.add(0, length);
    gather.add(batch);
  };
  const intact = () => passed.every(({ chunk, text }) => chunk.toString('latin1') === text);
  return { gather, passed, add, intact };
}

t.test('a burst is passed on as one chunk, a large one at once', async (t) => {
  const { gather, passed, add } = scene(false);
  add('a', 100);
  add('b', 200);
  t.equal(passed.length, 0);
  gather.flush();
  gather.flush();
  add('c', 65_536);
  t.same(
    passed.map(({ text, datagrams }) => [text.length, datagrams]),
    [
      [300, 2],
      [65_536, 1],
    ],
  );
});

t.test('bursts that are held lie one behind the other', async (t) => {
  const { gather, passed, add, intact } = scene(true);
  for (const letter of 'abcde') {
    add(letter, 50);
    gather.flush();
  }
  t.same(
    passed.map(({ chunk }) => chunk.byteOffset),
    [0, 50, 100, 150, 200],
  );
  t.equal(new Set(passed.map(({ chunk }) => chunk.buffer)).size, 1);
  t.ok(intact());
});

t.test('bursts that are done with are overwritten by the next: small ones stay in the cache', async (t) => {
  const { gather, passed, add } = scene(true);
  for (const letter of 'abc') {
    add(letter, 50);
    gather.flush();
    passed.at(-1)!.lease.done();
  }
  t.same(
    passed.map(({ chunk }) => chunk.byteOffset),
    [0, 0, 0],
  );
});

t.test('what is held stays as it was, and its memory is reused after that', async (t) => {
  const { passed, add, intact } = scene(true);
  for (const letter of 'abcdefghijkl') add(letter, 65_536);
  t.ok(intact());
  const places = new Set(passed.map(({ chunk }) => chunk.buffer));
  for (const { lease } of passed.splice(0, 4)) lease.done();
  for (const letter of 'mnop') add(letter, 65_536);
  t.ok(intact());
  t.ok(
    passed.slice(-2).every(({ chunk }) => places.has(chunk.buffer)),
    'memory that was given back',
  );
});

t.test('memory that the first of several readers is done with at once is kept for the others', async (t) => {
  const passed: { chunk: Buffer; lease: Lease }[] = [];
  const coalescer = new Coalescer('lines', (chunk, _datagrams, lease) => {
    lease.hold();
    lease.done();
    lease.hold();
    passed.push({ chunk, lease });
  });
  const batch = new Batch();
  for (const letter of 'ab') {
    batch.reset(Buffer.alloc(1000, letter));
    batch.add(0, 1000);
    coalescer.add(batch);
    coalescer.flush();
  }
  t.strictSame(
    passed.map(({ chunk }) => chunk.toString('latin1')),
    ['a'.repeat(1000), 'b'.repeat(1000)],
  );
});

t.test('memory that a reader abandoned is never overwritten', async (t) => {
  const { passed, add, intact } = scene(true);
  add('a', 65_536);
  passed[0]!.lease.abandon();
  for (const letter of 'bcdefgh') {
    add(letter, 65_536);
    passed.at(-1)!.lease.done();
  }
  t.equal(passed[0]!.chunk.toString('latin1'), passed[0]!.text);
  t.notOk(intact(), 'other memory was');
});

t.test('a datagram of any size is passed on whole, with its newline', async (t) => {
  for (const length of [1, 65_535, 65_536, 131_071, 131_072, 131_073, 1_000_000]) {
    const { gather, passed, add } = scene(true, 'line');
    add('a', 70);
    add('b', length);
    add('c', 80);
    gather.flush();
    t.equal(
      passed.map(({ text }) => text).join(''),
      `${'a'.repeat(70)}\n${'b'.repeat(length)}\n${'c'.repeat(80)}\n`,
      `${length} bytes`,
    );
    t.ok(
      passed.every(({ text }) => text.endsWith('\n')),
      'no chunk ends inside a datagram',
    );
    t.equal(
      passed.reduce((sum, { datagrams }) => sum + datagrams, 0),
      3,
    );
  }
});
