import { Batch } from 'mproxy-framing';
import { encodeAddress } from 'mproxy-net/linux/layout';
import { Ring } from 'mproxy-net/linux/ring';
import { Senders } from 'mproxy-net/linux/senders';
import t from 'tap';
import { Random } from '../support/random.js';

t.test('what is written is read, in order, however often the ring goes round', async (t) => {
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  const writer = new Ring();
  const reader = new Ring(writer.buffer);
  const slab = random.bytes(65_536);
  const sent: [number, number, number][] = [];
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
    if (random.next() < 0.005) drain(random.pick([1, 2, 3, 4, Number.POSITIVE_INFINITY]));
  }
  let more = 0;
  for (; more < 1000 && writer.write(slab, 0, 65_507, 0); more++) sent.push([0, 65_507, 0]);
  t.ok(more < 1000, 'a full ring takes no more');
  drain(Number.POSITIVE_INFINITY);
  t.equal(read, sent.length);
  t.ok(reader.empty);
});

t.test('a named ring says who sent each entry, however often it goes round', async (t) => {
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  const writer = new Ring();
  const reader = new Ring(writer.buffer);
  const senders = new Senders(String);
  const crowd = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? `10.1.2.${i}` : `2001:db8::${i}`));
  // Behind every name lies what an earlier, longer one left.
  const names = crowd.map((address, i) =>
    Buffer.concat([encodeAddress(address, 1000 + i), random.bytes(16)], 32),
  );
  const words = new Uint32Array(Uint8Array.from(Buffer.concat(names)).buffer);
  const slab = random.bytes(65_536);
  const sent: [which: number, length: number][] = [];
  const batch = new Batch();
  let [read, wrapped, last] = [0, 0, 0];
  const drain = () => {
    while (reader.read(batch)) {
      reader.tell(batch, senders);
      for (let i = 0; i < batch.count; i++) {
        const [which, length] = sent[read++]!;
        const { address, port } = batch.from[i]!;
        const got = batch.keep(batch.offset[i]!, batch.length[i]!);
        if (address !== crowd[which] || port !== 1000 + which || !got.equals(slab.subarray(0, length))) {
          throw new Error(`entry ${read - 1} is of ${crowd[which]}, not ${address}`);
        }
        if (batch.offset[i]! < last) wrapped++;
        last = batch.offset[i]!;
      }
      reader.release();
    }
  };
  for (let step = 0; step < 5000; step++) {
    const length = random.pick([0, 1, 8, 1400, random.integer(0, 65_507)]);
    const which = random.integer(0, crowd.length - 1);
    if (writer.write(slab, 0, length, 0, words, 8 * which)) sent.push([which, length]);
    if (random.next() < 0.003) drain();
  }
  let more = 0;
  for (; more < 1000 && writer.write(slab, 0, 65_507, 0, words); more++) sent.push([0, 65_507]);
  t.ok(more < 1000, 'a full ring takes no more');
  drain();
  t.equal(read, sent.length);
  t.ok(wrapped > 0, `${wrapped} times round`);
});

t.test('a reader that found nothing is woken once', async (t) => {
  const ring = new Ring();
  t.notOk(ring.read(new Batch()));
  ring.write(Buffer.from('x'), 0, 1, 0);
  t.ok(ring.wakes());
  t.notOk(ring.wakes());
});

t.test('entries of several owners come in batches of one owner each, in order', async (t) => {
  const writer = new Ring();
  const reader = new Ring(writer.buffer);
  const name = new Uint32Array(new Uint8Array(Buffer.concat([encodeAddress('10.1.2.3', 77)], 32)).buffer);
  const slab = Buffer.from('abcdefgh');
  const owners = [5, 5, 65_535, 0, 0, 0, 5];
  for (const [i, owner] of owners.entries()) {
    writer.owner = owner;
    if (owner === 0) writer.write(slab, i, 1, 9, name, 0);
    else writer.write(slab, i, 1, 9);
  }
  const batch = new Batch();
  const read: [owner: number, text: string][] = [];
  const senders = new Senders(String);
  while (reader.read(batch)) {
    let text = '';
    batch.each((offset, length) => {
      text += batch.slab.toString('latin1', offset, offset + length);
    });
    read.push([reader.owner, text]);
    if (reader.owner === 0) reader.tell(batch, senders);
    reader.release();
  }
  t.strictSame(read, [
    [5, 'ab'],
    [65_535, 'c'],
    [0, 'def'],
    [5, 'g'],
  ]);
  t.strictSame(batch.from[2], { address: '10.1.2.3', port: 77 }, 'and those that have a sender tell it');
});

t.test('who must leave a reserve cannot take the space of others', async (t) => {
  const ring = new Ring();
  ring.shrink();
  const slab = Buffer.alloc(65_536);
  ring.reserve = 1024 * 1024;
  let written = 0;
  while (ring.write(slab, 0, 60_000, 0)) written += 60_000;
  t.ok(written > 2.9e6 && written < 3.2e6, `${written} bytes`);
  ring.reserve = 0;
  t.ok(ring.write(slab, 0, 60_000, 0), 'another finds room');
});
