import { Gather, type Lease } from 'mproxy-route/gather';
import { Batch } from 'mproxy-udp';
import t from 'tap';

/** What was passed on, and what it was then. */
interface Passed {
  chunk: Buffer;
  text: string;
  datagrams: number;
  lease: Lease | undefined;
}

function scene(hold: boolean) {
  const passed: Passed[] = [];
  const gather = new Gather('lines', (chunk, datagrams, lease) => {
    if (hold) lease?.hold();
    passed.push({ chunk, text: chunk.toString('latin1'), datagrams, lease });
  });
  const add = (letter: string, length: number) => {
    const batch = new Batch();
    batch.reset(Buffer.from(letter.repeat(length)));
    batch.add(0, length);
    gather.add(batch);
  };
  return { gather, passed, add };
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

t.test('what a reader holds stays as it was, and is filled again after that', async (t) => {
  const { passed, add } = scene(true);
  for (const letter of 'abcdefghijkl') add(letter, 65_536);
  t.ok(passed.every(({ chunk, text }) => chunk.toString('latin1') === text));
  for (const { lease } of passed.slice(0, 2)) lease!.done();
  const places = new Set(passed.map(({ chunk }) => chunk.buffer));
  t.equal(places.size, 12);
  for (const letter of 'mn') add(letter, 65_536);
  t.ok(passed.slice(2).every(({ chunk, text }) => chunk.toString('latin1') === text));
  // The one that is being filled was taken before any was given back.
  add('o', 65_536);
  t.ok(places.has(passed.at(-1)!.chunk.buffer), 'memory that was given back');
});

t.test('a small chunk is a copy that nobody fills again', async (t) => {
  const { gather, passed, add } = scene(false);
  for (const letter of 'abc') {
    add(letter, 100);
    gather.flush();
  }
  t.ok(passed.every(({ chunk, text, lease }) => chunk.toString('latin1') === text && !lease));
});

t.test(
  'a middling chunk is passed on as it lies while readers hold few of them, else as a copy',
  async (t) => {
    const { gather, passed, add } = scene(true);
    const middling = () => {
      add('m', 40_000);
      gather.flush();
    };
    for (let i = 0; i < 10; i++) middling();
    t.same(
      passed.map(({ lease }) => lease !== undefined),
      [...Array(8).fill(true), false, false],
    );
    passed[0]!.lease!.done();
    passed[1]!.lease!.abandon();
    for (let i = 0; i < 3; i++) middling();
    t.same(
      passed.slice(10).map(({ lease }) => lease !== undefined),
      [true, true, false],
    );
  },
);

t.test('memory that a reader abandoned is never filled again', async (t) => {
  const { passed, add } = scene(true);
  add('a', 65_536);
  const { chunk, text, lease } = passed[0]!;
  lease!.abandon();
  for (const letter of 'bcdef') {
    add(letter, 65_536);
    passed.at(-1)!.lease!.done();
  }
  t.equal(chunk.toString('latin1'), text);
});
