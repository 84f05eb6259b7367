import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { packet } from '../mold/packets.js';
import { start } from '../support/command.js';
import { freeTcpPort, tcpServer } from '../support/net.js';
import { until } from '../support/wait.js';
import { Folder } from './folder.js';
import { jetServer, streamOf } from './jet.js';
import { noServer } from './server.js';

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i}\n`);

/** A stream S of numbered lines, and the state of its durable consumer D. */
async function streamWith(t: Test, lines: readonly (string | Buffer)[]) {
  const server = await jetServer(t);
  const { js, manager } = await streamOf(t, server, 'S', ['a']);
  for (const line of lines) await js.publish('a', line);
  const consumer = () => manager.consumers.info('S', 'D');
  return { url: `${server.url('a')},stream=S,durable=D`, js, manager, consumer };
}

t.test(
  'a durable receiver whose file cannot be written, killed with -9: nothing was acknowledged, the next run writes all',
  { skip: noServer },
  async (t) => {
    const { url, consumer } = await streamWith(t, numbers(0, 300));
    const listen = ['--listen-addr', url, '--from-start', '--stats', '1'];
    const first = start(t, 'server', ['--path', '/dev/full', ...listen]);
    await first.says('keeping up to');
    await first.says(/: 300 datagrams/);
    await first.kill();
    t.equal((await consumer()).ack_floor.stream_seq, 0);
    const file = new Folder(t).path('out');
    const second = start(t, 'server', ['--path', file, ...listen]);
    await until('all lines', () => readFileSync(file, 'utf8') === numbers(0, 300).join(''), 20_000);
    t.equal(await second.stop(), 0, second.stderr);
    t.equal((await consumer()).num_ack_pending, 0);
  },
);

t.test(
  'a durable relay to a TCP destination that refuses, killed with -9: the next run sends all',
  { skip: noServer },
  async (t) => {
    const { url, consumer } = await streamWith(t, numbers(0, 300));
    const port = await freeTcpPort();
    const flags = ['--udp-listen-addr', url, '--udp-downstream-addr', `tcp://127.0.0.1:${port}`];
    flags.push('--from-start', '--stats', '1');
    const first = start(t, 'forward', flags);
    await first.says(/refused/);
    await first.says(/: 300 datagrams/);
    await first.kill();
    t.equal((await consumer()).ack_floor.stream_seq, 0);
    let got = '';
    await tcpServer(t, (socket) => socket.on('data', (bytes) => (got += bytes)), port);
    const second = start(t, 'forward', flags);
    await until('all lines', () => got === numbers(0, 300).join(''), 20_000);
    t.equal(await second.stop(), 0, second.stderr);
    t.equal((await consumer()).num_ack_pending, 0);
  },
);

t.test(
  'a durable receiver whose reader takes nothing, killed with -9: what the reader has not taken comes again',
  { skip: noServer },
  async (t) => {
    const line = 'x'.repeat(10_000);
    const lines = numbers(100, 400).map((number) => `${number.trim()} ${line}\n`);
    const { url, consumer } = await streamWith(t, lines);
    const flags = ['--path', '-', '--listen-addr', url, '--from-start', '--stats', '1'];
    const first = start(t, 'server', flags);
    first.child.stdout!.pause();
    await first.says('created the durable consumer');
    await until('it waits', async () => (await consumer()).num_ack_pending > 100);
    await first.says(/: 1\d\d datagrams/);
    await first.kill();
    const second = start(t, 'server', flags);
    const got = () => `${first.stdout}\n${second.stdout}`.match(/^\d+ x{10000}$/gm) ?? [];
    await until('all lines', () => new Set(got()).size === lines.length, 20_000);
    t.equal(await second.stop(), 0, second.stderr);
  },
);

t.test(
  'a full disk: a receiver of a stream reads no more than it can keep, and loses nothing',
  { skip: noServer },
  async (t) => {
    const line = 'x'.repeat(99_990);
    const { url } = await streamWith(
      t,
      numbers(0, 100).flatMap((number) => Array<string>(10).fill(`${number.trim()} ${line}\n`)),
    );
    const ordered = url.replace(',durable=D', '');
    const flags = ['--path', '/dev/full', '--listen-addr', ordered, '--from-start', '--stats', '1'];
    const ours = start(t, 'server', flags);
    await ours.says('keeping up to');
    await until('five reports', () => (ours.stderr.match(/^.*datagrams.*$/gm) ?? []).length >= 5);
    t.notMatch(ours.stderr, /dropped/);
    await ours.kill();
  },
);

t.test(
  'frame=mold with a durable consumer, killed with -9 while packets wait for a missing one: the next run delivers all, in order',
  { skip: noServer },
  async (t) => {
    const packetOf = (number: number) => packet(number, [`m${number}\n`]);
    const messages = (from: number, to: number) =>
      Array.from({ length: to + 1 - from }, (_, i) => `m${from + i}\n`).join('');
    const { url, js, consumer } = await streamWith(t, []);
    const give = async (from: number, to: number) => {
      for (let number = from; number <= to; number++) await js.publish('a', packetOf(number));
    };
    await give(1, 10);
    const file = new Folder(t).path('out');
    const run = (wait: string) =>
      start(t, 'server', [
        ...['--path', file, '--listen-addr', `${url},frame=mold`, '--from-start', '--stats', '1'],
        ...['--repair-timeout', wait],
      ]);
    const has = (text: string) => () => readFileSync(file, 'utf8') === text;
    const first = run('1m');
    await until('what is in order', has(messages(1, 10)));
    await until('acknowledged', async () => (await consumer()).ack_floor.stream_seq === 10);
    await give(12, 20);
    await first.says(/: 19 datagrams/);
    await first.kill();
    t.equal((await consumer()).num_ack_pending, 9);
    await give(11, 11);
    await give(21, 25);
    const second = run('4s');
    await until('all of them', has(messages(1, 25)), 20_000);
    t.equal(await second.stop(), 0, second.stderr);
    t.notMatch(second.stderr, /lost in all: /);
    // Stopped, it has nothing that comes again: the next run begins with what is new.
    await give(26, 26);
    const third = run('4s');
    await until('the next', has(messages(1, 26)));
    t.equal(await third.stop(), 0, third.stderr);
    t.match(third.stderr, /from message 26/);
    t.notMatch(third.stderr, /lost in all: /);
  },
);

t.test(
  'messages that a durable receiver holds are not sent again, and are acknowledged when they are written',
  { skip: noServer },
  async (t) => {
    const { url, consumer } = await streamWith(t, numbers(0, 100));
    const flags = ['--path', '/dev/full', '--listen-addr', url, '--from-start', '--stats', '1'];
    const ours = start(t, 'server', flags);
    await ours.says('keeping up to');
    // Longer than twice the time after which the server would send them again.
    await until(
      'it holds them',
      () => (ours.stderr.match(/^.*100 datagrams.*$/gm) ?? []).length >= 12,
      20_000,
    );
    const { num_redelivered, num_ack_pending } = await consumer();
    t.strictSame({ num_redelivered, num_ack_pending }, { num_redelivered: 0, num_ack_pending: 100 });
    t.notMatch(ours.stderr, /duplicate/);
  },
);
