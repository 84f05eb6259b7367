import { jetstream } from '@nats-io/jetstream';
import t, { type Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { until } from '../support/wait.js';
import { jetServer, streamOf } from './jet.js';
import { peerOf } from './peer.js';
import { noServer } from './server.js';

const LINE = 'x'.repeat(50_000);
/** Messages of the stream, at most, and those that are published while nothing is read: far more than what is on its way. */
const MOST = 100;
const MANY = 500;

type Peer = Awaited<ReturnType<typeof streamOf>>;

async function publish({ js }: Peer, subject: string, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i++) await js.publish(subject, `${i} ${LINE}\n`);
}

/** A receiver of a stream S with the subjects and limits, whose stdout is not read after the first bytes. */
async function stalled(t: Test, { subjects = ['k.a'], keys = '', flags = ['--from-start'], before = 1 }) {
  const server = await jetServer(t);
  const peer = await streamOf(t, server, 'S', subjects, { max_msgs: MOST });
  await publish(peer, 'k.a', 1, before);
  const url = `${server.url('k.a')},stream=S${keys}`;
  const ours = start(t, 'server', ['--path', '-', '--listen-addr', url, ...flags]);
  const stdout = ours.child.stdout!;
  stdout.once('data', () => stdout.pause());
  await until('it reads', () => ours.stdout.length > 0);
  return { server, peer, ours };
}

/** Has stdout read until the last line is there. @returns the numbers of the lines */
async function readAll(ours: Running, last: number): Promise<number[]> {
  ours.child.stdout!.resume();
  const end = `${last} ${LINE}\n`;
  await until('the last line', () => String(ours.stdout.subarray(-end.length)) === end, 30_000);
  return [...String(ours.stdout).matchAll(/^(\d+) x/gm)].map(([, number]) => Number(number));
}

/** Ranges of numbers between those that are there. */
function gapsOf(numbers: number[], from = 1): [number, number][] {
  return numbers.flatMap((number, i) => {
    const next = i === 0 ? from : numbers[i - 1]! + 1;
    return number > next ? [[next, number - 1]] : [];
  });
}

/** Ranges in notices. */
function reported({ stderr }: Running, words: string): [number, number][] {
  const notices = stderr.matchAll(new RegExp(`messages (\\S+) to (\\S+) of stream S ${words}`, 'g'));
  return [...notices].map(
    ([, first, last]) => [first, last].map((text) => Number(text!.replaceAll(',', ''))) as [number, number],
  );
}

const sum = (ranges: [number, number][]) => ranges.reduce((all, [first, last]) => all + last + 1 - first, 0);

async function reportsExactly(t: Test, ours: Running, gaps: [number, number][]): Promise<void> {
  t.ok(gaps.length > 0, 'something was removed');
  t.equal(await ours.stop(), 0, ours.stderr);
  t.strictSame(reported(ours, 'are lost'), gaps);
  const lost = sum(gaps).toLocaleString('en-US');
  t.match(ours.stderr, new RegExp(`lost in all: .*${lost} messages lost: they were removed before`));
  t.notMatch(ours.stderr, /may be lost/);
}

for (const [who, keys] of [
  ['a durable', ',durable=D'],
  ['an ordered', ''],
] as const) {
  t.test(
    `${who} receiver that falls behind the limits of its stream reports exactly what was removed`,
    { skip: noServer },
    async (t) => {
      const { peer, ours } = await stalled(t, { keys });
      await publish(peer, 'k.a', 2, MANY - 1);
      await reportsExactly(t, ours, gapsOf(await readAll(ours, MANY)));
    },
  );

  t.test(
    `${who} receiver reports what was in its stream when it started, and was removed before it was read`,
    { skip: noServer },
    async (t) => {
      const { peer, ours } = await stalled(t, { keys, before: MOST });
      await publish(peer, 'k.a', MOST + 1, MANY);
      await reportsExactly(t, ours, gapsOf(await readAll(ours, MOST + MANY)));
    },
  );
}

t.test(
  'a stream that has other subjects, too: what was removed may be lost, and is not counted',
  { skip: noServer },
  async (t) => {
    const { peer, ours } = await stalled(t, { subjects: ['k.>'] });
    await publish(peer, 'k.a', 2, MANY - 1);
    const gaps = gapsOf(await readAll(ours, MANY));
    t.ok(gaps.length > 0, 'something was removed');
    await ours.says('may be lost');
    t.equal(await ours.stop(), 0, ours.stderr);
    t.strictSame(reported(ours, 'may be lost'), gaps.slice(0, 1));
    t.notMatch(ours.stderr, /messages lost/);
  },
);

t.test(
  'after a reconnect: what a stream removed of other subjects is not counted as lost',
  { skip: noServer },
  async (t) => {
    const { server, peer, ours } = await stalled(t, { subjects: ['k.>'] });
    ours.child.stdout!.resume();
    await publish(peer, 'k.a', 2, 4);
    await until('five lines', () => (String(ours.stdout).match(/\n/g) ?? []).length === 5);
    ours.child.kill('SIGSTOP');
    await server.kill();
    await server.restart();
    const js = jetstream(await peerOf(t, server));
    for (let i = 0; i < 2 * MOST; i++) await js.publish('k.other', `${i}\n`);
    ours.child.kill('SIGCONT');
    await ours.says('may be lost', 20_000);
    t.equal(await ours.stop(), 0, ours.stderr);
    t.strictSame(reported(ours, 'may be lost'), [[6, MOST + 5]]);
    t.notMatch(ours.stderr, /messages lost/);
  },
);

t.test(
  'a stream that was created again: what is removed of it is reported, up to the last number of the former one, too',
  { skip: noServer },
  async (t) => {
    const { peer, ours } = await stalled(t, {});
    await readAll(ours, 1);
    const { manager, js } = peer;
    const { length } = ours.stdout;
    for (let i = 0; i < 2 * MANY; i++) await js.publish('k.a', '\n');
    await until('all of it', () => ours.stdout.length === length + 2 * MANY);
    ours.stdout = Buffer.alloc(0);
    await manager.streams.delete('S');
    await manager.streams.add({ name: 'S', subjects: ['k.a'], max_msgs: MOST });
    await ours.says(/was created again.*continuing at message 1$/m, 30_000);
    ours.child.stdout!.pause();
    await publish(peer, 'k.a', 1, MANY);
    await reportsExactly(t, ours, gapsOf(await readAll(ours, MANY)));
  },
);

t.test(
  'messages that are deleted one by one before a receiver starts are not lost',
  { skip: noServer },
  async (t) => {
    const server = await jetServer(t);
    const { js, manager } = await streamOf(t, server, 'S', ['k.a']);
    for (let i = 1; i <= 20; i++) await js.publish('k.a', `${i}\n`);
    for (const number of [3, 4, 9]) await manager.streams.deleteMessage('S', number);
    const ours = start(t, 'server', [
      '--path',
      '-',
      '--listen-addr',
      `${server.url('k.a')},stream=S`,
      '--from-start',
      '--stats',
      '1',
    ]);
    await until('the last', () => /^20$/m.test(String(ours.stdout)));
    await js.publish('k.a', '21\n');
    await manager.streams.deleteMessage('S', 2);
    await until('the next', () => /^21$/m.test(String(ours.stdout)));
    await until('three reports', () => (ours.stderr.match(/^.*datagrams.*$/gm) ?? []).length >= 3);
    t.equal(await ours.stop(), 0, ours.stderr);
    t.notMatch(ours.stderr, /lost/);
  },
);

t.test('a work queue is read from its first message', { skip: noServer }, async (t) => {
  const server = await jetServer(t);
  const { js, manager } = await streamOf(t, server, 'W', ['w'], { retention: 'workqueue' });
  for (let i = 1; i <= 100; i++) await js.publish('w', `${i}\n`);
  for (const flags of [['--from-start'], []]) {
    const url = `${server.url('w')},stream=W,durable=D`;
    const ours = start(t, 'server', ['--path', '-', '--listen-addr', url, ...flags]);
    await until('all of it', () => /^100$/m.test(String(ours.stdout)), 20_000);
    t.equal(await ours.stop(), 0, ours.stderr);
    t.equal((await manager.streams.info('W')).state.messages, 0);
    t.notMatch(ours.stderr, /lost|skipped/);
    await manager.consumers.delete('W', 'D');
    for (let i = 1; i <= 100; i++) await js.publish('w', `${i}\n`);
  }
});

t.test(
  'what a receiver skips, and that --from-start is for new consumers, is said',
  { skip: noServer },
  async (t) => {
    const server = await jetServer(t);
    const { js } = await streamOf(t, server, 'S', ['k.a']);
    for (let i = 1; i <= 50; i++) await js.publish('k.a', `${i}\n`);
    const url = `${server.url('k.a')},stream=S`;
    const says = async (keys: string, flags: string[], words: RegExp) => {
      const ours = start(t, 'server', ['--path', '-', '--listen-addr', url + keys, ...flags]);
      await ours.says('connected to');
      await ours.says(words);
      t.equal(await ours.stop(), 0, ours.stderr);
    };
    await says('', [], /50 stored messages of stream S skipped; --from-start delivers them/);
    await says(',durable=D', [], /50 stored messages of stream S skipped; --from-start delivers them/);
    await says(
      ',durable=D',
      ['--from-start'],
      /resuming after message 50 of stream S; --from-start is for a new durable consumer, and D exists/,
    );
  },
);
