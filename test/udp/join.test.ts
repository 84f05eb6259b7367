import { Batch } from 'mproxy-udp';
import t from 'tap';

/** Joins where it can, as a stream of equal pieces does, and tells the entries. */
function entries(lengths: number[]): string[] {
  const batch = new Batch();
  batch.reset(Buffer.alloc(200_000));
  let at = 0;
  for (const length of lengths) {
    if (!batch.join(at, length)) batch.add(at, length);
    at += length;
  }
  return Array.from({ length: batch.count }, (_, i) => `${batch.length[i]}/${batch.segment[i]}`);
}

t.test('equal pieces that lie one behind the other become one entry with their size', async (t) => {
  t.strictSame(entries([1400, 1400, 1400]), ['4200/1400']);
  t.strictSame(entries([1400]), ['1400/0'], 'one alone stays one');
});

t.test('only the last may be shorter, and none longer', async (t) => {
  t.strictSame(entries([1400, 1400, 10, 1400]), ['2810/1400', '1400/0']);
  t.strictSame(entries([1400, 1401]), ['1400/0', '1401/0']);
});

t.test('at most 64 pieces and 65,487 bytes go together', async (t) => {
  t.strictSame(entries(Array(65).fill(100)), ['6400/100', '100/0']);
  t.strictSame(entries(Array(9).fill(8000)), ['64000/8000', '8000/0']);
});

t.test('joined pieces are counted and visited one by one', async (t) => {
  const batch = new Batch();
  batch.reset(Buffer.from('aaabbbc'));
  batch.add(0, 3);
  t.ok(batch.join(3, 3) && batch.join(6, 1));
  const seen: string[] = [];
  batch.each((offset, length) => seen.push(batch.keep(offset, length).toString()));
  t.strictSame(seen, ['aaa', 'bbb', 'c']);
  t.equal(batch.datagrams, 3);
});

t.test('pieces of different places are not joined', async (t) => {
  const batch = new Batch();
  batch.reset(Buffer.alloc(100));
  batch.add(0, 10);
  t.notOk(batch.join(20, 10));
});
