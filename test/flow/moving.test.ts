import type { Program, SinkCounts } from 'mproxy-flow';
import { openUdpSink } from 'mproxy-flow/endpoints/udp/sink';
import type { EventDefinition, Fields } from 'mproxy-flow/events';
import { Batch } from 'mproxy-framing';
import type { Engine, SendCounts } from 'mproxy-net';
import { type Address, parseAddress } from 'mproxy-net/address';
import { resolver } from 'mproxy-net/resolver/resolver';
import t, { type Test } from 'tap';
import { ENGINES } from '../net/engines.js';
import { udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

/** Answers for every name from here on. */
let answer: () => Promise<string[]>;
resolver.lookUp = () => answer();

const PER_ROUND = 20;

const first = async () => ['127.0.0.1'];

async function open(t: Test, engine: Engine, port: number) {
  const notices: string[] = [];
  const emit = ({ text }: EventDefinition, fields: Fields) => notices.push(text(fields));
  const stopping = new AbortController().signal;
  const program = {
    engine,
    emit,
    emitChange: emit,
    socketNotice: (text: string) => notices.push(text),
    stopping,
    sink: <S>(sink: S) => sink,
  } as unknown as Program;
  const address: Address = parseAddress(
    `moving.test:${port}`,
    { flag: '--to', keys: [], listens: false },
    {},
  );
  const sink = await openUdpSink(program, address, { ip: '127.0.0.1', family: 4, port }, 'lines');
  let open = true;
  const close = async () => {
    if (open) await sink.close();
    open = false;
  };
  t.teardown(close);
  return { sink, notices, close };
}

function write(sink: { write(batch: Batch): void }): void {
  const batch = new Batch();
  batch.reset(Buffer.from('line\n'));
  batch.add(0, 5);
  sink.write(batch);
}

for (const engine of ENGINES) {
  t.test(`${engine.name}: counters never decrease while a destination moves`, async (t) => {
    const one = await udpSink(t);
    const other = await udpSink(t, '127.0.0.2', one.port);
    const { sink, notices, close } = await open(t, engine, one.port);
    const seen: SinkCounts[] = [];
    const look = () => seen.push(sink.counts);
    const rounds = 20;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < PER_ROUND; i++) write(sink);
      look();
      answer = async () => [round % 2 ? '127.0.0.1' : '127.0.0.2'];
      const moved = sink.lookUpAgain();
      const looking = setInterval(look);
      await moved;
      look();
      await new Promise((resolve) => setImmediate(resolve));
      clearInterval(looking);
      look();
    }
    await close();
    look();
    const lower = seen.filter(({ datagrams }, i) => datagrams < (seen[i - 1]?.datagrams ?? 0));
    t.strictSame(lower, []);
    t.equal(notices.filter((text) => text.startsWith('sending: ')).length, 1 + rounds);
    const sent = PER_ROUND * rounds;
    t.match(sink.counts, { datagrams: sent, bytes: 5 * sent, dropped: 0, errors: {} });
    await until('all came', () => one.datagrams.length + other.datagrams.length === sent);
    t.equal(one.datagrams.length, sent / 2);
  });

  t.test(`${engine.name}: a name that is still being resolved is not asked for again`, async (t) => {
    const { sink, notices } = await open(t, engine, (await udpSink(t)).port);
    let asked = 0;
    let resolve: (ips: string[]) => void = () => undefined;
    answer = () => {
      asked++;
      return new Promise((resolved) => {
        resolve = resolved;
      });
    };
    const looks = [sink.lookUpAgain(), sink.lookUpAgain()];
    await until('it is asked for', () => asked > 0);
    await new Promise((next) => setImmediate(next));
    t.equal(asked, 1);
    resolve(['127.0.0.2']);
    await Promise.all(looks);
    t.equal(notices.length, 2);
    answer = first;
    await sink.lookUpAgain();
    t.equal(notices.length, 3, 'later it is');
  });

  t.test(
    `${engine.name}: a name that no longer resolves is reported once, with its destination`,
    async (t) => {
      const { port } = await udpSink(t);
      const { sink, notices } = await open(t, engine, port);
      answer = () => Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }));
      await sink.lookUpAgain();
      const why = 'the name does not resolve; check the name, or write an IP address';
      t.equal(notices.at(-1), `look-up: moving.test:${port}: ${why}; going on with 127.0.0.1`);
    },
  );
}

t.test('counters never decrease while the socket of the last destination still sends', async (t) => {
  const senders = Array.from({ length: 2 }, () => new SlowSender());
  const left = senders.slice();
  const engine = { openSender: async () => left.shift() } as unknown as Engine;
  const { sink, close } = await open(t, engine, 9);
  const [one, other] = senders as [SlowSender, SlowSender];
  one.counts = { datagrams: 7, bytes: 70, dropped: 3, errors: { ENOBUFS: 2 }, returned: {} };
  answer = async () => ['127.0.0.2'];
  await sink.lookUpAgain();
  t.match(sink.counts, { datagrams: 7, bytes: 70, dropped: 3, errors: { ENOBUFS: 2 } }, 'while it closes');
  one.counts.datagrams++;
  other.counts.datagrams = 10;
  t.equal(sink.counts.datagrams, 18, 'what it sends meanwhile counts');
  one.closed();
  await new Promise((resolve) => setImmediate(resolve));
  t.match(
    sink.counts,
    { datagrams: 18, bytes: 70, dropped: 3, errors: { ENOBUFS: 2 } },
    'and when it is closed',
  );
  other.closed();
  await close();
  t.equal(sink.counts.datagrams, 18);
});

/** A socket that takes its time to close, as one whose buffer is full does. */
class SlowSender {
  counts: SendCounts = { datagrams: 0, bytes: 0, dropped: 0, errors: {}, returned: {} };
  readonly replies = { ...this.counts };
  readonly sendBuffer = 0;
  closed: () => void = () => undefined;
  readonly #end = new Promise<void>((resolve) => {
    this.closed = resolve;
  });

  close(): Promise<void> {
    return this.#end;
  }
}
