import {
  type Endpoint,
  type Handle,
  Outputs,
  openSources,
  resolveTargets,
  type Sink,
  startProgram,
} from 'mproxy-flow';
import { addresses } from 'mproxy-flow/addresses';
import { sinkCounts } from 'mproxy-flow/counts';
import { moldOver } from 'mproxy-flow/endpoints/mold/type';
import { DATAGRAMS } from 'mproxy-flow/endpoints/types';
import { END_OF_SESSION } from 'mproxy-mold';
import t, { type Test } from 'tap';
import { packet } from '../mold/packets.js';
import { bus, hasSubscribers, publish } from '../support/bus.js';
import { udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

const accept = [...DATAGRAMS, moldOver(bus), bus];
const FROM = addresses({ accept, roles: ['source'], help: '' });
const TO = addresses({ accept, roles: ['sink'], help: '' });
const VALUES = { fromStart: false, repairTimeout: 300, once: false };

/** A sink that collects what it gets as text. */
class TextSink implements Sink {
  readonly name = 'text';
  readonly counts = sinkCounts();
  readonly dropReason = '';
  text = '';

  write(batch: Parameters<Sink['write']>[0]): void {
    batch.each((offset, length) => {
      this.text += batch.slab.toString('latin1', offset, offset + length);
    });
  }

  flush(): void {}
  room(): undefined {}
  abortPending(): void {}
  async close(): Promise<void> {}
}

interface Receiver extends Handle {
  sink: TextSink;
  notices: string[];
}

/** A program that receives from addresses, each by a route of its own to the same sink or, with `apart`, to one each. */
async function receive(t: Test, texts: string[], values: object = {}, apart?: TextSink[]): Promise<Receiver> {
  const sink = new TextSink();
  const notices: string[] = [];
  const onNotice = ({ text }: { text: string }) => notices.push(text);
  const handle = startProgram({ onNotice }, undefined, async (program) => {
    const endpoints: Endpoint[] = FROM.read(texts, '--from', {});
    const targets = await resolveTargets(program, endpoints, 'source');
    const context = { payload: 1000, values: { ...VALUES, ...values } };
    for (const [i, sources] of (await openSources(program, targets, context)).entries())
      for (const source of sources) program.route(source, [apart?.[i] ?? sink]);
  });
  await handle.ready;
  t.teardown(() => handle.stop().catch(() => undefined));
  return { ...handle, sink, notices };
}

const moldOf = ({ stats }: Handle, route = 0) => stats().routes[route]!.source.mold;
const gets = (sink: TextSink, text: string) => until(`it gets ${text}`, () => sink.text === text);

/** A program that sends a topic by one session to each list of addresses. */
async function send(t: Test, topic: string, lists: string[][], values: object = {}) {
  const notices: string[] = [];
  const onNotice = ({ text }: { text: string }) => notices.push(text);
  const handle = startProgram({ onNotice }, undefined, async (program) => {
    const sinks: Sink[] = [];
    const context = { payload: 1000, values: { retain: 2 ** 20, linger: 0, ...values } };
    for (const list of lists) {
      const targets = await resolveTargets(program, TO.read(list, '--to', {}), 'sink');
      sinks.push(...(await new Outputs(program, targets, context).open()));
    }
    t.equal(sinks.length, lists.length, 'one sink for each session');
    const from = await resolveTargets(program, FROM.read(`bus://${topic}`, '--from', {}), 'source');
    for (const source of (await openSources(program, from, context)).flat()) program.route(source, sinks);
  });
  t.teardown(() => handle.stop().catch(() => undefined));
  await handle.ready;
  return { ...handle, notices };
}

let topics = 0;
/** A topic that a program receives from once this resolves. */
async function subscribed(t: Test, count = 1, values: object = {}) {
  const topic = `t${topics++}`;
  const texts = Array.from({ length: count }, (_, i) => `bus://${topic},frame=mold,queue=q${i}`);
  const receiver = await receive(t, texts, values);
  await until('it subscribed', () => hasSubscribers(topic, count));
  const send = (...packets: Buffer[]) => {
    for (const one of packets) publish(topic, one);
  };
  return { receiver, send };
}

t.test('without requests: duplicates are dropped, and what comes late is put in its place', async (t) => {
  const { receiver, send } = await subscribed(t);
  send(packet(1, ['a', 'b']), packet(5, ['e']), packet(1, ['a', 'b']), packet(3, ['c', 'd']));
  await gets(receiver.sink, 'abcde');
  send(packet(5, ['e']), packet(6, ['f']));
  await gets(receiver.sink, 'abcdef');
  t.strictSame(moldOf(receiver), { gaps: 1, asked: 0, repaired: 0, duplicates: 3, lost: 0, malformed: 0 });
  t.match(
    receiver.notices.join('\n'),
    /receiving: bus:.*: session session from message 1$/m,
    'without a sender',
  );
});

t.test(
  'without requests: a gap that stays is reported after the timeout, and what follows is delivered',
  async (t) => {
    const { receiver, send } = await subscribed(t);
    const began = performance.now();
    send(packet(1, ['a']), packet(100_001, ['z']), packet(100_005, ['y']));
    await gets(receiver.sink, 'azy');
    t.ok(performance.now() - began >= 300, 'as long as the timeout');
    t.match(moldOf(receiver), { gaps: 2, asked: 0, repaired: 0, lost: 99_999 + 3 });
    await receiver.stop();
    t.match(receiver.notices.join('\n'), /messages 2 to 100000, 100002 to 100004 \(100,002 in all\)/);
  },
);

t.test('a gap whose messages come within the timeout is none', async (t) => {
  const { receiver, send } = await subscribed(t);
  const began = performance.now();
  send(packet(1, ['a']), packet(4, ['d']));
  // The second packet came after a request would have been sent.
  await until('a request is due', () => performance.now() - began > 100);
  send(packet(2, ['b', 'c']));
  await gets(receiver.sink, 'abcd');
  t.match(moldOf(receiver), { asked: 0, repaired: 0, lost: 0 });
});
t.test('the end of a session ends a program with --once, also by two sources', async (t) => {
  const { receiver, send } = await subscribed(t, 2, { once: true });
  send(packet(1, ['a']), packet(3, [], END_OF_SESSION));
  const error = await receiver.done.then(
    () => undefined,
    (reason: Error) => reason,
  );
  t.match(error, { code: 'MPROXY_LOST', message: /session session: messages 2 \(1 in all\)/ });
  t.equal(receiver.sink.text, 'a');
});

t.test('sinks without room are waited for', async (t) => {
  const topic = `t${topics++}`;
  let makeRoom: () => void = () => undefined;
  const room = new Promise<void>((resolve) => {
    makeRoom = resolve;
  });
  const full = Object.assign(new TextSink(), { room: () => room });
  await receive(t, [`bus://${topic},frame=mold`], {}, [full]);
  await until('it subscribed', () => hasSubscribers(topic, 1));
  const [waiting] = publish(topic, packet(1, ['a']));
  t.equal(full.text, 'a', 'delivered with the packet');
  t.type(waiting, Promise);
  makeRoom();
  await waiting;
});

t.test('a session by two sources is delivered once, and one fills the gaps of the other', async (t) => {
  const [one, other] = [`t${topics++}`, `t${topics++}`];
  const receiver = await receive(t, [`bus://${one},frame=mold`, `bus://${other},frame=mold`]);
  await until('it subscribed', () => hasSubscribers(one, 1) && hasSubscribers(other, 1));
  publish(one, packet(1, ['a']));
  publish(other, packet(1, ['a']));
  publish(one, packet(3, ['c']));
  publish(other, packet(2, ['b']));
  publish(one, packet(4, ['d']));
  publish(other, packet(3, ['c']));
  await gets(receiver.sink, 'abcd');
  t.match(moldOf(receiver), { gaps: 1, duplicates: 2, lost: 0 });
  t.match(moldOf(receiver, 1), { gaps: 0, duplicates: 0, lost: 0 }, 'each message is counted once');
  t.equal(receiver.notices.filter((text) => text.includes('from message')).length, 1);
});

t.test('sources with sinks of their own deliver the session to each', async (t) => {
  const [one, other] = [`t${topics++}`, `t${topics++}`];
  const sinks = [new TextSink(), Object.assign(new TextSink(), { name: 'other' })];
  await receive(t, [`bus://${one},frame=mold`, `bus://${other},frame=mold`], {}, sinks);
  await until('it subscribed', () => hasSubscribers(one, 1) && hasSubscribers(other, 1));
  for (const topic of [one, other]) publish(topic, packet(1, ['a', 'b']));
  for (const sink of sinks) await gets(sink, 'ab');
});

for (const first of ['UDP', 'bus'])
  t.test(`a session by UDP and by a bus is delivered once, first by ${first}`, async (t) => {
    const topic = `t${topics++}`;
    const receiver = await receive(t, ['127.0.0.1:0,frame=mold', `bus://${topic},frame=mold`]);
    const { listening } = await receiver.ready;
    t.equal(listening.length, 1, 'a topic is no address to connect to');
    await until('it subscribed', () => hasSubscribers(topic, 1));
    const { socket } = await udpSink(t);
    const byUdp = async (bytes: Buffer) => socket.send(bytes, listening[0]!.port, '127.0.0.1');
    const byBus = async (bytes: Buffer) => publish(topic, bytes);
    const [send, sendToo] = first === 'UDP' ? [byUdp, byBus] : [byBus, byUdp];
    await send(packet(1, ['a']));
    await gets(receiver.sink, 'a');
    await sendToo(packet(1, ['a']));
    await sendToo(packet(2, ['b']));
    await gets(receiver.sink, 'ab');
    await send(packet(2, ['b', 'c']));
    await gets(receiver.sink, 'abc');
    const duplicates = [0, 1].map((route) => moldOf(receiver, route)!.duplicates);
    t.strictSame(duplicates, first === 'UDP' ? [2, 0] : [0, 2]);
  });

t.test('one session goes to all destinations, whatever carries it', async (t) => {
  const topic = `t${topics++}`;
  const byUdp = await receive(t, ['127.0.0.1:0,frame=mold']);
  const byBus = await receive(t, [`bus://${topic},frame=mold`]);
  await until('it subscribed', () => hasSubscribers(topic, 1));
  const { port } = (await byUdp.ready).listening[0]!;
  const { notices } = await send(t, `in${topic}`, [
    [`127.0.0.1:${port},frame=mold`, `bus://${topic},frame=mold`],
  ]);
  publish(`in${topic}`, 'one\n');
  publish(`in${topic}`, 'two\n');
  await gets(byUdp.sink, 'one\ntwo\n');
  await gets(byBus.sink, 'one\ntwo\n');
  t.equal(notices.filter((text) => /sending: session \S+ to 127.*bus:/.test(text)).length, 1);
});

t.test('two sessions of a program have names of their own where no address tells them apart', async (t) => {
  const lists = [['127.0.0.1:9,frame=mold'], ['bus://other,frame=mold']];
  const { notices } = await send(t, `t${topics++}`, lists);
  const names = notices.flatMap((text) => /sending: session (\S+) to/.exec(text)?.[1] ?? []);
  t.equal(new Set(names).size, 2);
  const why = /--session: S: it would name two sessions, to 127\.0\.0\.1:9,frame=mold and to bus:/;
  await t.rejects(send(t, `t${topics++}`, lists, { session: 'S         ' }), {
    code: 'MPROXY_USAGE',
    message: why,
  });
  await send(t, `t${topics++}`, [lists[0]!, ['127.0.0.1:10,frame=mold']], { session: 'S         ' });
});
