import type { Program, SinkCounts } from 'mproxy-flow';
import { MoldSink } from 'mproxy-flow/endpoints/mold/sink';
import { openUdpSink } from 'mproxy-flow/endpoints/udp/sink';
import { Splitter } from 'mproxy-flow/stream/splitter';
import { Batch, type Frame, MAX_DATAGRAM } from 'mproxy-framing';
import { Coalescer } from 'mproxy-framing/coalescer';
import { parseAddress } from 'mproxy-net/address';
import t from 'tap';
import { ENGINES } from '../net/engines.js';
import { bus, subscribe } from '../support/bus.js';
import { udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

const PAYLOAD = 8096;

/** A batch of messages one after the other, as a transport delivers them. */
function batchOf(...messages: string[]): Batch {
  const batch = new Batch();
  batch.large = batch.lent = true;
  batch.reset(Buffer.from(messages.join('')));
  let at = 0;
  for (const message of messages) {
    batch.add(at, message.length);
    at += message.length;
  }
  return batch;
}

function split(frame: Frame, ...messages: string[]): { pieces: string[]; split: number } {
  const pieces: string[] = [];
  const splitter = new Splitter(frame, PAYLOAD, (batch) =>
    batch.each((offset, length) => pieces.push(String(batch.slab.subarray(offset, offset + length)))),
  );
  const batch = batchOf(...messages);
  splitter.write(batch);
  batch.slab.fill('!');
  return { pieces, split: splitter.split };
}

/** 1 MiB of lines of 100 bytes. */
const LINES = `${'x'.repeat(99)}\n`.repeat(2 ** 20 / 100);
const LONG = `${'y'.repeat(100_000)}\n`;

t.test('a message that a datagram can carry passes as it is, whatever the frame', (t) => {
  const largest = 'z'.repeat(MAX_DATAGRAM);
  for (const frame of ['lines', 'line', 'raw', 'nul', 'cr'] as const)
    t.strictSame(split(frame, 'a\nb\n', '', largest), { pieces: ['a\nb\n', '', largest], split: 0 }, frame);
  t.end();
});

t.test('a larger one is split by the rule of the frame, in its place', (t) => {
  for (const [frame, end] of [
    ['lines', '\n'],
    ['nul', '\0'],
    ['cr', '\r'],
  ] as const) {
    const message = LINES.replaceAll('\n', end);
    const { pieces, split: count } = split(frame, 'before', message, 'after');
    t.equal(count, 1);
    t.equal(pieces.join(''), `before${message}after`, 'nothing is lost or added');
    t.equal(pieces.length, 2 + Math.ceil(message.length / 8000), frame);
    t.ok(pieces.slice(1, -1).every((piece) => piece.length <= PAYLOAD && piece.endsWith(end)));
  }
  t.ok(split('line', LINES).pieces.every((piece) => piece.length === 100));
  t.strictSame(
    split('raw', LONG).pieces.map(({ length }) => length),
    [...Array(12).fill(PAYLOAD), 100_001 - 12 * PAYLOAD],
  );
  t.end();
});

t.test('a line that no datagram can carry is split at the limit, an unfinished one stays unfinished', (t) => {
  const { pieces } = split('lines', `${LONG}short`);
  t.strictSame(pieces, [LONG.slice(0, MAX_DATAGRAM), LONG.slice(MAX_DATAGRAM), 'short']);
  t.equal(split('lines', LONG, LINES, LONG).split, 3);
  t.end();
});

t.test('a stream gets a large message whole', (t) => {
  for (const [frame, expected] of [
    ['lines', LINES],
    ['octet-counted', `${LINES.length} ${LINES}`],
  ] as const) {
    let joined = '';
    let count = 0;
    const coalescer = new Coalescer(frame, (chunk, datagrams, lease) => {
      lease.hold();
      joined += chunk;
      count += datagrams;
      lease.done();
    });
    coalescer.add(batchOf('a\n', LINES));
    coalescer.flush();
    t.ok(joined.endsWith(expected), frame);
    t.equal(count, 2);
  }
  t.end();
});

for (const engine of ENGINES) {
  const program = {
    engine,
    emit() {},
    emitChange() {},
    socketNotice() {},
    stopping: new AbortController().signal,
    sink: <S>(sink: S) => sink,
  } as unknown as Program;

  const send = async (frame: Frame, port: number, message: string): Promise<SinkCounts> => {
    const address = parseAddress(`127.0.0.1:${port}`, { flag: '--to', keys: [], listens: false });
    const answer = { ip: '127.0.0.1', family: 4, port } as const;
    const relay = { frame, payload: PAYLOAD, waits: true };
    const sink = await openUdpSink(program, address, answer, undefined, relay);
    sink.write(batchOf('before', message, 'after'));
    await sink.room();
    await sink.close();
    return sink.counts;
  };

  t.test(`${engine.name}: a UDP destination gets the pieces, and counts the message`, async (t) => {
    const receiver = await udpSink(t);
    const message = LINES.slice(0, 100_000);
    const counts = await send('lines', receiver.port, message);
    t.match(counts, { split: 1, datagrams: 15, bytes: 100_011, dropped: 0, errors: {} });
    await until('all came', () => receiver.datagrams.length === 15);
    t.equal(Buffer.concat(receiver.datagrams).toString(), `before${message}after`);
  });

  t.test(`${engine.name}: what no rule splits is refused and counted`, async (t) => {
    const receiver = await udpSink(t);
    const counts = await send('octet-counted', receiver.port, LINES);
    t.match(counts, { datagrams: 2, errors: { EMSGSIZE: 1 }, split: undefined });
    await until('the others came', () => receiver.datagrams.length === 2);
  });

  t.test(`${engine.name}: a session carries it in several messages, and counts it`, async (t) => {
    const packets: Buffer[] = [];
    subscribe(t, engine.name, (packet) => packets.push(packet));
    const repairRate = { unit: 'bits', perSecond: 1e9 } as const;
    const sending = { session: 'S', retain: 2 ** 21, repairRate, linger: 0, payload: 1000 };
    const options = { ...sending, waits: false, values: {} };
    const opener = await bus.load();
    const address = { text: 'bus://x', topic: engine.name, keys: {}, own: new Set<string>() };
    const sink = await new MoldSink(program, options).open([{ type: bus, opener, address, answers: [] }]);
    sink.write(batchOf('before', LINES));
    await sink.close();
    const { split: count, mold } = sink.counts;
    t.match({ count, mold }, { count: 1, mold: { messages: 1 + Math.ceil(LINES.length / 65_485) } });
    t.ok(packets.every(({ length }) => length <= MAX_DATAGRAM));
  });
}
