import { createSocket } from 'node:dgram';
import t from 'tap';
import { groupSink, loopbackGroup, settled } from '../support/group.js';
import { type LossyOptions, lossyRelay } from '../support/lossy.js';
import { inParts, type UdpSink, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

type Test = Parameters<typeof lossyRelay>[0];

const numbers = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);
const texts = (sink: UdpSink) => sink.datagrams.map(String);
const place = (sink: UdpSink) => ({ address: '127.0.0.1', port: sink.port });
const write = (from: UdpSink, port: number, text: string) => from.socket.send(text, port, '127.0.0.1');

/** Sends datagrams through a relay, and waits until all that it did not lose have arrived. */
async function through(t: Test, trouble: Omit<LossyOptions, 'to'>, count = 1000) {
  const [sink, sender] = [await udpSink(t), await udpSink(t)];
  const relay = await lossyRelay(t, { to: place(sink), ...trouble });
  t.comment(`SEED=${relay.seed}`);
  const { on } = relay.counts;
  await inParts(
    numbers(count),
    async (part) => {
      for (const text of part) write(sender, relay.port, text);
    },
    (sent) => on.received === sent,
  );
  await until('all are there', () => {
    const due = count - on.lost + on.duplicated;
    return on.received === count && on.sent === due && sink.datagrams.length === due;
  });
  return { texts: texts(sink), counts: on };
}

t.test('without trouble everything passes, once and in order', async (t) => {
  const { texts, counts } = await through(t, {});
  t.strictSame(texts, numbers(1000));
  t.match(counts, { received: 1000, sent: 1000, lost: 0, duplicated: 0, reordered: 0, delayed: 0 });
});

t.test('datagrams are lost as often as is asked for', async (t) => {
  const { texts, counts } = await through(t, { lose: 0.2 });
  t.ok(counts.lost > 120 && counts.lost < 280, `${counts.lost} of 1000`);
  t.equal(texts.length, 1000 - counts.lost);
  t.strictSame(
    texts,
    numbers(1000).filter((text) => new Set(texts).has(text)),
    'the others keep their order',
  );
});

t.test('datagrams come twice', async (t) => {
  const { texts, counts } = await through(t, { duplicate: 0.1 });
  t.ok(counts.duplicated > 40 && counts.duplicated < 180, `${counts.duplicated} of 1000`);
  t.equal(texts.length, 1000 + counts.duplicated);
  t.strictSame([...new Set(texts)], numbers(1000));
});

t.test('datagrams are overtaken, and the last too arrive', async (t) => {
  const { texts, counts } = await through(t, { reorder: 0.1, span: 4, delayMs: 1000 });
  t.ok(counts.reordered > 40 && counts.reordered < 180, `${counts.reordered} of 1000`);
  t.strictSame(
    texts.toSorted((a, b) => Number(a) - Number(b)),
    numbers(1000),
  );
  const misplaced = texts.filter((text, i) => Number(text) !== i).length;
  t.ok(misplaced >= counts.reordered, `${misplaced} misplaced`);
  const all = await through(t, { reorder: 1 }, 5);
  t.same(all.texts.toSorted(), numbers(5), 'also when there is nothing to overtake them');
});

t.test('datagrams are late', async (t) => {
  const { texts, counts } = await through(t, { delay: 0.1, delayMs: 50 });
  t.ok(counts.delayed > 40 && counts.delayed < 180, `${counts.delayed} of 1000`);
  t.equal(new Set(texts).size, 1000);
  t.notSame(texts, numbers(1000));
});

t.test('the same seed does the same harm', async (t) => {
  const trouble = { lose: 0.1, duplicate: 0.1, reorder: 0.1, span: 3, delayMs: 2000, seed: 7 };
  const first = await through(t, trouble, 300);
  const second = await through(t, trouble, 300);
  t.strictSame(second, first);
  t.notSame((await through(t, { ...trouble, seed: 8 }, 300)).texts, first.texts);
});

t.test('requests go back to their sender, and its answers to who asked', async (t) => {
  const [sink, one, two] = [await udpSink(t), await udpSink(t), await udpSink(t)];
  const [asker, other] = [await udpSink(t), await udpSink(t)];
  const relay = await lossyRelay(t, { to: place(sink) });
  for (const sender of [one, two, asker, other]) {
    // Answers what it is asked, to where the question came from.
    sender.socket.on('message', (message, from) => {
      if (String(message).endsWith('?')) write(sender, from.port, `${message} ${sender.port}`);
    });
  }
  const from: number[] = [];
  sink.socket.on('message', (_, { port }) => from.push(port));
  write(one, relay.port, 'data');
  await until('the data of the first', () => from.length === 1);
  write(two, relay.port, 'data');
  await until('the data of the second', () => from.length === 2);
  t.not(from[0], from[1], 'each sender has an address of its own');
  write(asker, from[0]!, 'a?');
  write(other, from[1]!, 'b?');
  write(asker, from[1]!, 'c?');
  write(sink, from[1]!, 'd?');
  await until('all are answered', () => asker.datagrams.length === 2 && other.datagrams.length === 1);
  t.strictSame(texts(asker).toSorted(), [`a? ${one.port}`, `c? ${two.port}`]);
  t.strictSame(texts(other), [`b? ${two.port}`]);
  await until('the answer to the receiving socket', () => sink.datagrams.length === 3);
  t.strictSame(texts(sink), ['data', 'data', `d? ${two.port}`]);
  t.strictSame([relay.counts.on.sent, relay.counts.back.sent], [6, 4]);
});

t.test('each direction has its own trouble', async (t) => {
  const [sink, sender, asker] = [await udpSink(t), await udpSink(t), await udpSink(t)];
  const relay = await lossyRelay(t, { to: place(sink), lose: 0, back: { lose: 1 } });
  const from: number[] = [];
  sink.socket.on('message', (_, { port }) => from.push(port));
  write(sender, relay.port, 'data');
  await until('it is there', () => from.length === 1);
  write(asker, from[0]!, 'question');
  await until('it was lost', () => relay.counts.back.lost === 1);
  t.match(relay.counts, { on: { received: 1, sent: 1, lost: 0 }, back: { received: 1, sent: 0 } });
});

t.test('it sends to a group on the loopback interface', async (t) => {
  const group = await loopbackGroup(); // on lo
  const member = await groupSink(t, group);
  const relay = await lossyRelay(t, { to: { address: group.ip, port: group.port } });
  await udpSend(relay.port, numbers(10));
  await until('all are sent', () => relay.counts.on.sent === 10);
  t.strictSame((await settled(member, group)).map(String), numbers(10));
});

t.test('an end of the test closes it', async (t) => {
  let port = 0;
  await t.test('a test with a relay', async (t) => {
    ({ port } = await lossyRelay(t, { to: { address: '127.0.0.1', port: 9 }, reorder: 1, delayMs: 60_000 }));
    await udpSend(port, ['waits']);
  });
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, '127.0.0.1', resolve);
  });
  t.equal(socket.address().port, port);
});
