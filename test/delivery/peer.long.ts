import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loopbackGroup } from '../support/group.js';
import { lossyRelay } from '../support/lossy.js';
import { freeUdpPort, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';
import { makeInput } from './input.js';
import { noPython, startPeer } from './peer.js';

const skip = noPython;
const LOOPBACK = ['--interface', '127.0.0.1'];

/** A downstream packet. */
function packet(session: string, first: number, messages: string[] | 'end'): Buffer {
  const header = Buffer.alloc(20, session.padEnd(10), 'latin1');
  header.writeBigUInt64BE(BigInt(first), 10);
  header.writeUInt16BE(messages === 'end' ? 0xffff : messages.length, 18);
  const blocks = (messages === 'end' ? [] : messages).map((message) => {
    const block = Buffer.from(`  ${message}`);
    block.writeUInt16BE(message.length);
    return block;
  });
  return Buffer.concat([header, ...blocks]);
}

for (const drop of [0, 7]) {
  t.test(
    `a file arrives whole, with ${drop ? `every ${drop}th packet left out` : 'nothing left out'}`,
    {
      skip,
    },
    async (t) => {
      const { data, from, to } = makeInput(t);
      const receiver = await startPeer(t, 'receive', [
        ...['--listen', '127.0.0.1:0', '--file', to, '--from-start'],
      ]);
      const sender = await startPeer(t, 'send', [
        ...[
          '--to',
          receiver.address,
          '--file',
          from,
          '--drop',
          `${drop}`,
          '--session',
          'one',
          '--linger',
          '1',
        ],
      ]);
      const received = await receiver.end();
      const sent = await sender.end();
      t.strictSame([received.status, sent.status], [0, 0], receiver.running.stderr);
      t.ok(readFileSync(to).equals(data), 'byte for byte');
      t.match(received.counts, { session: 'one', begin: 1, bytes: data.length, contradictions: 0 });
      t.equal(received.counts.next, sent.counts.messages! + 1);
      t.notOk(received.counts.malformed);
      if (drop) t.ok(sent.counts.dropped! > 20 && sent.counts.answers! >= 20, JSON.stringify(sent.counts));
      else t.notOk(sent.counts.dropped);
    },
  );

  t.test(`a group of two gets it, with ${drop ? 'losses' : 'no loss'}`, { skip }, async (t) => {
    const { data, from, to } = makeInput(t);
    const group = await loopbackGroup(); // on lo
    const address = `${group.ip}:${group.port}`;
    const outputs = [to, `${to}2`];
    const receivers = await Promise.all(
      outputs.map((output) =>
        startPeer(t, 'receive', ['--listen', address, ...LOOPBACK, '--file', output, '--from-start']),
      ),
    );
    const sender = await startPeer(t, 'send', [
      ...['--to', address, ...LOOPBACK, '--file', from, '--drop', `${drop}`, '--linger', '1'],
    ]);
    t.match(sender.address, /^127\.0\.0\.1:/);
    for (const [i, receiver] of receivers.entries()) {
      t.equal((await receiver.end()).status, 0, receiver.running.stderr);
      t.ok(readFileSync(outputs[i]!).equals(data), 'byte for byte');
    }
    const { counts } = await sender.end();
    if (drop) t.ok(counts.answers! >= 2 * 20, JSON.stringify(counts));
  });
}

t.test('it arrives whole through loss, duplication, delay and disorder, both ways', { skip }, async (t) => {
  const { data, from, to } = makeInput(t);
  const receiver = await startPeer(t, 'receive', ['--listen', '127.0.0.1:0', '--file', to, '--from-start']);
  const relay = await lossyRelay(t, {
    to: { address: '127.0.0.1', port: receiver.port },
    ...{ lose: 0.1, duplicate: 0.05, reorder: 0.1, delay: 0.05, back: { lose: 0.2 } },
  });
  t.comment(`SEED=${relay.seed}`);
  const sender = await startPeer(t, 'send', [
    ...['--to', `127.0.0.1:${relay.port}`, '--file', from, '--linger', '2'],
  ]);
  const { status, counts } = await receiver.end();
  t.equal(status, 0, receiver.running.stderr);
  t.ok(readFileSync(to).equals(data), 'byte for byte');
  t.ok(counts.duplicates! > 0 && counts.answers! > 0, JSON.stringify(counts));
  t.ok(relay.counts.on.lost > 0 && relay.counts.back.lost > 0, JSON.stringify(relay.counts));
  t.equal((await sender.end()).status, 0);
});

t.test('a late receiver gets all from the start when it asks for it', { skip }, async (t) => {
  const { data, from, to } = makeInput(t, 500);
  const group = await loopbackGroup(); // on lo
  const address = `${group.ip}:${group.port}`;
  const early = await startPeer(t, 'receive', ['--listen', address, ...LOOPBACK, '--file', `${to}0`]);
  await startPeer(t, 'send', ['--to', address, ...LOOPBACK, '--file', from, '--linger', '20']);
  t.equal((await early.end()).status, 0);
  const late = ['--listen', address, ...LOOPBACK, '--file'];
  const [all, rest] = await Promise.all([
    startPeer(t, 'receive', [...late, to, '--from-start']),
    startPeer(t, 'receive', [...late, `${to}2`]),
  ]);
  t.equal((await all.end()).status, 0, all.running.stderr);
  t.ok(readFileSync(to).equals(data), 'byte for byte');
  const { status, counts } = await rest.end();
  t.equal(status, 0, 'the end is all that there was for the other');
  t.strictSame([counts.bytes, counts.begin], [0, counts.end]);
});

t.test('the packets are those of the description', { skip }, async (t) => {
  const file = join(t.testdir({ in: `one\n\n${'x'.repeat(70)}\ntwo\n` }), 'in');
  const sink = await udpSink(t);
  const sender = await startPeer(t, 'send', [
    ...['--to', `127.0.0.1:${sink.port}`, '--file', file, '--session', 'AB', '--linger', '60'],
    ...['--payload', '60'],
  ]);
  const ask = (first: number, count: number, session = 'AB') => {
    const request = packet(session, first, []);
    request.writeUInt16BE(count, 18);
    sink.socket.send(request, sender.port, '127.0.0.1');
  };
  await until('the end', () => sink.datagrams.some((datagram) => datagram.readUInt16BE(18) === 0xffff));
  t.strictSame(sink.datagrams.slice(0, 4), [
    packet('AB', 1, ['one\n', '\n']),
    packet('AB', 3, ['x'.repeat(38)]),
    packet('AB', 4, [`${'x'.repeat(32)}\n`]),
    packet('AB', 5, ['two\n']),
  ]);
  t.strictSame(sink.datagrams[4], packet('AB', 6, 'end'));
  sink.datagrams.length = 0;
  const answers = () => sink.datagrams.filter((datagram) => datagram.readUInt16BE(18) !== 0xffff);
  // Those without an answer come first: their answers would come first too.
  for (const first of [0, 6, 2 ** 40]) ask(first, 1);
  ask(1, 0);
  ask(1, 1, 'A');
  sink.socket.send('no request', sender.port, '127.0.0.1');
  ask(1, 1);
  ask(2, 60_000);
  ask(5, 60_000);
  await until('three answers', () => answers().length === 3);
  t.strictSame(answers(), [packet('AB', 1, ['one\n']), packet('AB', 2, ['\n']), packet('AB', 5, ['two\n'])]);
});

t.test('a sender that waits for its pace sends heartbeats', { skip }, async (t) => {
  const file = join(t.testdir({ in: 'one\ntwo\n' }), 'in');
  const sink = await udpSink(t);
  const args = ['--to', `127.0.0.1:${sink.port}`, '--file', file, '--session', 'AB'];
  await startPeer(t, 'send', [...args, '--payload', '26', '--rate', '8']);
  const last = packet('AB', 2, ['two\n']);
  await until('both lines', () => sink.datagrams.some((datagram) => datagram.equals(last)));
  const at = sink.datagrams.findIndex((datagram) => datagram.equals(last));
  t.strictSame(sink.datagrams[0], packet('AB', 1, ['one\n']));
  t.ok(at >= 2 && at <= 4, `${at - 1} heartbeats in three seconds`);
  const between = sink.datagrams.slice(1, at);
  t.ok(between.every((datagram) => datagram.equals(packet('AB', 2, []))));
});

t.test('what cannot be had is told by its numbers', { skip }, async (t) => {
  const to = join(t.testdir(), 'out');
  const args = ['--listen', '127.0.0.1:0', '--file', to, '--timeout', '0.5'];
  const receiver = await startPeer(t, 'receive', args);
  const requests = await udpSink(t);
  const packets = [packet('AB', 3, ['a\n']), packet('AB', 9, ['b\n']), packet('AB', 12, 'end')];
  for (const one of packets) requests.socket.send(one, receiver.port, '127.0.0.1');
  const { status, counts } = await receiver.end();
  t.equal(status, 1);
  t.equal(receiver.running.stderr, 'peer.py: receive: missing 4-8, 10-11\n');
  t.equal(readFileSync(to, 'utf8'), 'a\n');
  t.match(counts, { begin: 3, next: 4, end: 12 });
  const asked = requests.datagrams.map((request) => [request.readUInt32BE(14), request.readUInt16BE(18)]);
  t.ok(asked.length >= 6, 'it asked more than once');
  t.strictSame([...new Set(asked.map(String))].filter((one) => one !== '10,1').toSorted(), ['10,2', '4,5']);
});

t.test('a receiver counts what is malformed, foreign or contradicts itself', { skip }, async (t) => {
  const to = join(t.testdir(), 'out');
  const receiver = await startPeer(t, 'receive', ['--listen', '127.0.0.1:0', '--file', to]);
  const whole = packet('AB', 2, ['b\n', 'c\n']);
  const malformed = [
    Buffer.alloc(0),
    whole.subarray(0, 19),
    whole.subarray(0, -1),
    Buffer.from([...whole, 0]),
  ];
  const sender = await udpSink(t);
  for (const one of [packet('AB', 1, ['a\n']), ...malformed, packet('AC', 2, ['x\n'])]) {
    sender.socket.send(one, receiver.port, '127.0.0.1');
  }
  await udpSend(receiver.port, [packet('AB', 2, ['another source\n'])]);
  for (const one of [packet('AB', 1, ['a\n']), packet('AB', 9, 'end'), packet('AB', 4, 'end'), whole]) {
    sender.socket.send(one, receiver.port, '127.0.0.1');
  }
  const { status, counts } = await receiver.end();
  t.equal(readFileSync(to, 'utf8'), 'a\nb\nc\n');
  t.match(counts, { malformed: 4, foreign: 2, duplicates: 1, contradictions: 1, messages: 3 });
  t.equal(status, 1);
  t.equal(receiver.running.stderr, 'peer.py: receive: missing 4-8, contradictions\n');
});

t.test('a receiver to which nothing comes gives up', { skip }, async (t) => {
  const args = ['--listen', `127.0.0.1:${await freeUdpPort()}`, '--file', join(t.testdir(), 'out')];
  const receiver = await startPeer(t, 'receive', [...args, '--timeout', '0.2']);
  t.equal((await receiver.end()).status, 1);
  t.equal(receiver.running.stderr, 'peer.py: receive: no session, no end of the session\n');
});
