import { Batch } from 'mproxy-udp';
import { Ring } from 'mproxy-udp/linux/ring';
import t from 'tap';
import { Random } from '../support/random.js';

t.test('what is written is read, in order, however often the ring goes round', async (t) => {
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  const writer = new Ring();
  const reader = new Ring(writer.buffer);
  const slab = random.bytes(65_536);
  const sent: [number, number, number][] = [];
  let refused = 0;
  let read = 0;
  const batch = new Batch();
  const drain = (most: number) => {
    for (let i = 0; i < most && reader.read(batch); i++) {
      for (let entry = 0; entry < batch.count; entry++) {
        const [offset, length, segment] = sent[read++]!;
        const got = batch.keep(batch.offset[entry]!, batch.length[entry]!);
        if (!got.equals(slab.subarray(offset, offset + length)) || batch.segment[entry] !== segment) {
          throw new Error(`entry ${read - 1} is not what was written`);
        }
      }
      reader.release();
    }
  };
  for (let step = 0; step < 20_000; step++) {
    const length = random.pick([0, 1, 7, 8, 100, 1400, random.integer(0, 65_507)]);
    const offset = random.integer(0, slab.length - length);
    const segment = random.pick([0, 100]);
    if (writer.write(slab, offset, length, segment)) sent.push([offset, length, segment]);
    else refused++;
    if (random.next() < 0.005) drain(random.pick([1, 2, 3, 4, Number.POSITIVE_INFINITY]));
  }
  drain(Number.POSITIVE_INFINITY);
  t.equal(read, sent.length);
  t.ok(refused > 0, 'and a full ring takes no more');
  t.ok(reader.empty);
});

t.test('a reader that found nothing is woken once', async (t) => {
  const ring = new Ring();
  t.notOk(ring.read(new Batch()));
  ring.write(Buffer.from('x'), 0, 1, 0);
  t.ok(ring.wakes());
  t.notOk(ring.wakes());
});
