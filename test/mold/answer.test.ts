import { answer, checkPacket, PacketStore } from 'mproxy-mold';
import t from 'tap';
import { Random } from '../support/random.js';
import { messagesOf, packet, SESSION, spell, storeOf } from './packets.js';

const ROUNDS = 2000;

interface Row {
  what: string;
  first: number;
  count: number;
  /** The answer in words, what comes after it, and whether it is the stored packet itself. */
  gives?: string;
  next?: number;
  asItLies?: boolean;
}

// Messages 1 to 4 fell out of the store.
const held = [packet(5, ['e', '', 'gg']), packet(8, ['h']), packet(9, ['i', 'jjj'])];

const rows: Row[] = [
  { what: 'a whole packet', first: 5, count: 3, gives: '5: e  gg', next: 8, asItLies: true },
  { what: 'a packet of one message', first: 8, count: 1, gives: '8: h', next: 9, asItLies: true },
  { what: 'no more than one packet', first: 5, count: 6, gives: '5: e  gg', next: 8, asItLies: true },
  { what: 'all there is', first: 9, count: 65_535, gives: '9: i jjj', next: 11, asItLies: true },
  { what: 'the beginning of a packet', first: 5, count: 2, gives: '5: e ', next: 7 },
  { what: 'an empty message', first: 6, count: 1, gives: '6: ', next: 7 },
  { what: 'the end of a packet', first: 6, count: 2, gives: '6:  gg', next: 8 },
  { what: 'the end of a packet and no more', first: 7, count: 3, gives: '7: gg', next: 8 },
  { what: 'what is gone', first: 4, count: 10 },
  { what: 'what does not exist yet', first: 11, count: 1 },
];

t.test('a request is answered by one packet that begins where it asks', (t) => {
  const store = storeOf(1000, held);
  const scratch = Buffer.alloc(1000);
  for (const row of rows) {
    const given = answer(store, row.first, row.count, scratch);
    const bytes = given?.bytes.subarray(given.offset, given.offset + given.length);
    t.equal(bytes && spell(bytes), row.gives, row.what);
    t.equal(given?.next, row.next, `${row.what}: what comes next`);
    if (!given) continue;
    t.equal(given.bytes === store.slab, row.asItLies ?? false, `${row.what}: where it lies`);
    t.equal(bytes?.toString('latin1', 0, 10), SESSION, `${row.what}: its session`);
  }
  t.end();
});

t.test('an empty store answers nothing', (t) => {
  t.equal(answer(new PacketStore(100), 1, 1, Buffer.alloc(100)), undefined);
  t.end();
});

t.test('a scratch that is too small is an error, not a torn answer', (t) => {
  const store = storeOf(1000, held);
  t.ok(answer(store, 5, 2, Buffer.alloc(25)), 'it fits to the byte');
  t.throws(() => answer(store, 5, 2, Buffer.alloc(24)), RangeError);
  t.end();
});

t.test('the answers to a request, one after the other, are the messages that were asked for', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const scratch = Buffer.alloc(1000);
  const all = Array.from({ length: 500 }, (_, i) => `${i + 1} ${'x'.repeat(random.integer(0, 9))}`);
  const packets: Buffer[] = [];
  for (let at = 0, count = 0; at < all.length; at += count) {
    count = random.integer(1, 6);
    packets.push(packet(at + 1, all.slice(at, at + count)));
  }
  const store = storeOf(4000, packets);
  const oldest = store.oldest!;
  t.ok(oldest > 1, 'some fell out of the store');
  for (let round = 0; round < ROUNDS; round++) {
    const first = random.integer(oldest, all.length);
    const last = random.integer(first, all.length);
    const got: string[] = [];
    for (let next = first; next <= last; ) {
      const given = answer(store, next, last + 1 - next, scratch)!;
      checkPacket(given.bytes, given.offset, given.length);
      const messages = messagesOf(given.bytes.subarray(given.offset, given.offset + given.length));
      got.push(...messages.map(String));
      next = given.next;
    }
    if (got.join() === all.slice(first - 1, last).join()) continue;
    t.fail(`${first} to ${last}: ${got.join()}, SEED=${random.seed}`);
    return t.end();
  }
  t.pass(`${ROUNDS} requests`);
  t.end();
});
