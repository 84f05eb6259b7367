import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
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
  return { url: `${server.url('a')},stream=S,durable=D`, consumer };
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
