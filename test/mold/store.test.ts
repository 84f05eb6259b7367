import { PacketStore } from 'mproxy-mold';
import t from 'tap';
import { Random } from '../support/random.js';
import { found, packet, put, storeOf } from './packets.js';

const ROUNDS = 60;
/** Bytes that are reserved, at most. */
const LARGEST = 200;

t.test('an empty store holds nothing', (t) => {
  const store = new PacketStore(100);
  t.equal(store.oldest, undefined);
  t.equal(store.packets, 0);
  t.equal(store.find(1), undefined);
  t.end();
});

t.test('a message is found in the packet that holds it', (t) => {
  const store = storeOf(1000, [packet(1, ['a', 'b']), packet(3, ['c']), packet(4, ['d', 'e', 'f'])]);
  const expected = [undefined, '1: a b', '1: a b', '3: c', '4: d e f', '4: d e f', '4: d e f', undefined];
  for (const [sequence, packet] of expected.entries()) t.equal(found(store, sequence), packet, `${sequence}`);
  t.equal(store.oldest, 1);
  t.equal(store.packets, 3);
  t.end();
});

t.test('each part of the memory is asked for once, before it is first written to', (t) => {
  const capacity = 1_000_000;
  let asked = 0;
  const store = new PacketStore(capacity, (part) => {
    t.equal(part.byteOffset - store.slab.byteOffset, asked, 'one behind the other');
    asked += part.length;
  });
  for (let i = 0; i < 3000; i++) {
    const at = store.reserve(1000);
    if (at + 1000 > asked) t.fail(`${at + 1000} of ${asked}`);
    if (i === 0) t.ok(asked < capacity / 2, 'not all at once');
    packet(i + 1, ['x'.repeat(970)]).copy(store.slab, at);
    store.commit(992);
  }
  t.equal(asked, capacity);
  t.end();
});

t.test('the oldest packets make room, no more of them than must', (t) => {
  // Three packets of 30 bytes fit, and 10 bytes are left.
  const store = storeOf(100, [packet(1, ['11111111']), packet(2, ['22222222']), packet(3, ['33333333'])]);
  t.equal(store.oldest, 1, 'all fit');
  t.equal(put(store, packet(4, ['44444444'])), 0, 'what does not fit behind the newest goes to the start');
  t.equal(store.oldest, 2);
  put(store, packet(5, ['5']));
  t.equal(store.oldest, 3, 'a shorter packet overwrites no more than one');
  put(store, packet(6, ['6'.repeat(18)]));
  t.equal(store.oldest, 4, 'a longer one what lies where it goes');
  t.same(
    [4, 5, 6].map((sequence) => found(store, sequence)?.slice(0, 4)),
    ['4: 4', '5: 5', '6: 6'],
  );
  put(store, packet(7, ['7'.repeat(78)]));
  t.equal(store.oldest, 7, 'the largest leaves nothing else');
  put(store, packet(8, ['8']));
  t.equal(store.oldest, 8, 'and does not stay itself');
  t.end();
});

t.test('a reservation takes its room at once, and gives back what it did not use', (t) => {
  const store = storeOf(100, [packet(1, ['11111111']), packet(2, ['22222222'])]);
  store.reserve(40);
  t.equal(store.oldest, 1, 'there is room');
  store.reserve(60);
  t.equal(store.oldest, undefined, 'there is none but from the start');
  t.equal(put(store, packet(3, ['3']), 60), 0);
  t.equal(put(store, packet(4, ['4'])), 23, 'behind what was used');
  t.equal(found(store, 3), '3: 3');
  t.end();
});

t.test('what cannot be is refused', (t) => {
  t.throws(() => new PacketStore(0), RangeError);
  t.throws(() => new PacketStore(2 ** 32), RangeError);
  const store = new PacketStore(100);
  t.throws(() => store.reserve(101), RangeError, 'larger than the store');
  t.throws(() => store.commit(20), RangeError, 'nothing is reserved');
  store.reserve(30);
  t.throws(() => store.commit(31), RangeError, 'more than is reserved');
  store.commit(20);
  t.throws(() => store.commit(10), RangeError, 'it is committed already');
  t.end();
});

t.test('whatever the sizes, the newest packets that fit are held, whole', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < ROUNDS; round++) {
    const wrong = run(random, random.pick([200, 1000, 100_000]));
    if (wrong) {
      t.fail(`${wrong}, round ${round}, SEED=${random.seed}`);
      return t.end();
    }
  }
  t.pass(`${ROUNDS} stores`);
  t.end();
});

t.test('many small packets are found after few large ones', (t) => {
  const store = new PacketStore(50_000);
  for (let i = 1; i <= 70; i++) put(store, packet(i, ['x'.repeat(978)]));
  for (let i = 71; i <= 4000; i++) put(store, packet(i, ['x']));
  t.equal(store.packets, Math.floor(50_000 / 23));
  for (let i = store.oldest!; i <= 4000; i++) if (found(store, i) !== `${i}: x`) t.fail(`lost ${i}`);
  t.equal(store.oldest, 4001 - store.packets);
  t.end();
});

/** Puts packets of all sizes into a store and compares it with a list of them. @returns what is wrong */
function run(random: Random, capacity: number): string | undefined {
  const store = new PacketStore(capacity);
  const all: { text: string; first: number; next: number; size: number }[] = [];
  let next = 1;
  for (let i = 0; i < 2500; i++) {
    const messages = Array.from({ length: random.integer(1, 4) }, () => 'x'.repeat(random.integer(0, 20)));
    const bytes = packet(next, messages);
    put(store, bytes, random.integer(bytes.length, LARGEST));
    const first = next;
    next += messages.length;
    all.push({ text: `${first}: ${messages.join(' ')}`, first, next, size: bytes.length });
    if (i % 50 !== 0) continue;
    const held = all.slice(-store.packets);
    const bytesHeld = held.reduce((sum, one) => sum + one.size, 0);
    if (store.oldest !== held[0]!.first) return `oldest is ${store.oldest}`;
    if (bytesHeld > capacity) return 'more than fits';
    if (held.length < all.length && bytesHeld < capacity - 3 * LARGEST)
      return `only ${bytesHeld} of ${capacity}`;
    if (store.find(held[0]!.first - 1) !== undefined) return 'found what is gone';
    if (store.find(next) !== undefined) return 'found what is not there yet';
    for (const one of held)
      if (found(store, random.integer(one.first, one.next - 1)) !== one.text) return `lost ${one.text}`;
  }
  return undefined;
}
