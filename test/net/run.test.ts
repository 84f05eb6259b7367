import { Batch } from 'mproxy-framing';
import t from 'tap';

/** Adds runs of equal datagrams, as a stream of equal pieces does, and tells the entries. */
function entries(...runs: [length: number, count: number][]): string[] {
  const batch = new Batch();
  batch.reset(Buffer.alloc(200_000));
  let at = 0;
  for (const [length, count] of runs) {
    for (let done = 0; done < count; ) done += batch.addRun(at + done * length, length, count - done);
    at += length * count;
  }
  return Array.from({ length: batch.count }, (_, i) => `${batch.length[i]}/${batch.segment[i]}`);
}

t.test('equal pieces that lie one behind the other become one entry with their size', async (t) => {
  t.strictSame(entries([1400, 3]), ['4200/1400']);
  t.strictSame(entries([1400, 1]), ['1400/0'], 'one alone stays one');
  t.strictSame(entries([1400, 3], [10, 1], [1400, 1]), ['4200/1400', '10/0', '1400/0']);
});

t.test('at most 64 pieces and 65,487 bytes go together', async (t) => {
  t.strictSame(entries([100, 65]), ['6400/100', '100/0']);
  t.strictSame(entries([8000, 9]), ['64000/8000', '8000/0']);
  t.strictSame(entries([40_000, 2]), ['40000/0', '40000/0'], 'two that do not fit go one by one');
});

t.test('the pieces of a run are counted and visited one by one', async (t) => {
  const batch = new Batch();
  batch.reset(Buffer.from('aaabbbc'));
  t.equal(batch.addRun(0, 3, 2), 2);
  t.equal(batch.addRun(6, 1, 1), 1);
  const seen: string[] = [];
  batch.each((offset, length) => seen.push(batch.keep(offset, length).toString()));
  t.strictSame(seen, ['aaa', 'bbb', 'c']);
  t.equal(batch.datagrams, 3);
});
