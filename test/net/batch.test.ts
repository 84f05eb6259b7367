import { Batch } from 'mproxy-framing';
import { untilQuiet } from 'mproxy-net';
import t from 'tap';

/** Each datagram of a batch as text. */
function texts(batch: Batch): string[] {
  const out: string[] = [];
  batch.each((offset, length) => out.push(batch.slab.toString('latin1', offset, offset + length)));
  return out;
}

const LETTERS = Buffer.from('abcdefghijklmnopqrstuvwxyz');

type Entry = [offset: number, length: number, segment?: number];

const table: [what: string, entries: Entry[], datagrams: string[]][] = [
  ['nothing', [], []],
  ['one datagram', [[0, 3]], ['abc']],
  [
    'datagrams in any places',
    [
      [10, 2],
      [0, 1],
      [25, 1],
    ],
    ['kl', 'a', 'z'],
  ],
  ['an empty datagram', [[5, 0]], ['']],
  [
    'an empty datagram among others',
    [
      [0, 1],
      [1, 0],
      [1, 2],
    ],
    ['a', '', 'bc'],
  ],
  ['equal segments', [[0, 6, 2]], ['ab', 'cd', 'ef']],
  ['a last segment that is shorter', [[1, 7, 3]], ['bcd', 'efg', 'h']],
  ['a segment that is all there is', [[0, 4, 4]], ['abcd']],
  ['a segment size larger than the entry', [[0, 3, 9]], ['abc']],
  ['segments of one byte', [[23, 3, 1]], ['x', 'y', 'z']],
  [
    'entries of all kinds',
    [
      [0, 4, 2],
      [4, 3],
      [7, 0],
      [8, 5, 4],
    ],
    ['ab', 'cd', 'efg', '', 'ijkl', 'm'],
  ],
];

for (const [what, entries, datagrams] of table) {
  t.test(`a batch of ${what}`, (t) => {
    const batch = new Batch();
    batch.reset(LETTERS);
    for (const [offset, length, segment] of entries) batch.add(offset, length, segment);
    t.strictSame(texts(batch), datagrams);
    t.equal(batch.datagrams, datagrams.length);
    t.equal(batch.bytes, datagrams.join('').length);
    t.equal(batch.count, entries.length);
    t.end();
  });
}

t.test('a batch is filled, emptied and filled again', (t) => {
  const batch = new Batch();
  batch.reset(LETTERS);
  for (let i = 0; !batch.full && i < 1000; i++) batch.add(i % 20, 2, 1);
  t.ok(batch.full && batch.count > 1);
  t.equal(batch.datagrams, 2 * batch.count);
  batch.reset(Buffer.from('again'));
  t.notOk(batch.full);
  t.strictSame([batch.count, batch.datagrams, batch.bytes], [0, 0, 0]);
  batch.add(0, 5);
  t.strictSame(texts(batch), ['again'], 'without the segment size of what was there before');
  t.end();
});

t.test('what is kept outlives the slab where the slab is lent, and is not copied where it is not', (t) => {
  const batch = new Batch();
  const slab = Buffer.from('first');
  batch.reset(slab);
  const shared = batch.keep(1, 3);
  t.equal(shared.buffer, slab.buffer);
  batch.lent = true;
  const kept = batch.keep(1, 3);
  slab.fill('x');
  t.equal(String(kept), 'irs');
  t.equal(String(shared), 'xxx');
  t.end();
});

t.test('quiet comes when nothing more is heard', async (t) => {
  let heard = 0;
  let looks = 0;
  await untilQuiet(() => (looks++ < 20 ? ++heard : heard));
  t.ok(looks >= 22, `${looks} looks`);
  t.equal(heard, 20, 'not before');
});

t.test('a peer that never pauses is not waited for', async (t) => {
  let heard = 0;
  const begin = performance.now();
  await untilQuiet(() => ++heard);
  t.ok(performance.now() - begin < 10_000);
});

t.test('a batch of one entry with datagrams of listed lengths', (t) => {
  const batch = new Batch();
  batch.reset(LETTERS);
  batch.setSized(2, 6, Uint16Array.of(1, 0, 3, 2, 9), 4);
  t.strictSame(texts(batch), ['c', '', 'def', 'gh'], 'as many as it says');
  t.strictSame([batch.datagrams, batch.bytes, batch.count], [4, 6, 1]);
  batch.reset(LETTERS);
  batch.add(0, 2);
  t.strictSame(texts(batch), ['ab'], 'and is a batch as any other when it is emptied');
  t.end();
});
