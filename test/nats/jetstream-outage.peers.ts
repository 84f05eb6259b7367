import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { jetstream } from '@nats-io/jetstream';
import t from 'tap';
import { start } from '../support/command.js';
import { until } from '../support/wait.js';
import { Folder } from './folder.js';
import { jetServer, streamOf } from './jet.js';
import { peerOf } from './peer.js';
import { randomLines } from './random-lines.js';
import { noServer } from './server.js';

t.test(
  'the server killed with -9 three times while 100 MB flow: every line once, in order',
  { skip: noServer },
  async (t) => {
    const server = await jetServer(t);
    const { peer } = await streamOf(t, server, 'S', ['a']);
    await peer.close();
    const folder = new Folder(t);
    const [input, output] = [folder.path('in'), folder.path('out')];
    const sent = randomLines(100e6);
    writeFileSync(input, sent);
    const url = `${server.url('a')},stream=S`;
    const ours = start(t, 'server', ['--path', output, '--listen-addr', url, '--stats', '1']);
    await ours.says('connected to');
    const client = start(t, 'client', ['--path', input, '--rate', '160Mbps', '--server-addr', url]);
    const size = () => statSync(output).size;
    for (let kill = 1; kill <= 3; kill++) {
      await until('more has arrived', () => size() > (kill * sent.length) / 4, 60_000);
      await server.kill();
      await server.restart();
    }
    t.equal(await client.exited, 0, client.stderr);
    await until('all of it', () => size() >= sent.length, 60_000);
    t.equal(await ours.stop(), 0);
    t.ok(readFileSync(output).equals(sent));
    t.notMatch(client.stderr + ours.stderr, /lost/);
    t.comment(client.stderr, ours.stderr);
  },
);

t.test(
  'a receiver with a durable consumer, stopped or killed with -9, goes on where it was',
  { skip: noServer },
  async (t) => {
    const server = await jetServer(t);
    const { js, manager } = await streamOf(t, server, 'S', ['a']);
    const folder = new Folder(t);
    const url = `${server.url('a')},stream=S,durable=D`;
    const receive = (name: string, ...flags: string[]) =>
      start(t, 'server', ['--path', folder.path(name), '--listen-addr', url, ...flags]);
    const linesOf = (name: string) => readFileSync(folder.path(name), 'utf8').split('\n').filter(Boolean);
    const publish = async (from: number, to: number) => {
      for (let i = from; i < to; i++) await js.publish('a', `${i}\n`);
    };
    await publish(0, 100);
    const first = receive('1', '--from-start');
    await first.says('created the durable consumer D of stream S');
    await until('the first 100', () => linesOf('1').length === 100);
    t.equal(await first.stop(), 0, first.stderr);
    await publish(100, 200);
    const second = receive('2');
    await until('the second 100', () => linesOf('2').length >= 100);
    t.strictSame(linesOf('2')[0], '100');
    t.notMatch(second.stderr, /may arrive twice/);
    await until('they are acknowledged', async () => {
      const { ack_floor } = await manager.consumers.info('S', 'D');
      return ack_floor.stream_seq === 200;
    });
    // It takes messages that it cannot acknowledge any more.
    second.child.kill('SIGSTOP');
    await publish(200, 300);
    await until('sent to it', async () => {
      const { delivered } = await manager.consumers.info('S', 'D');
      return delivered.stream_seq === 300;
    });
    await second.kill();
    await publish(300, 400);
    const third = receive('3');
    await third.says(/resuming after message 200 of stream S in .*; 100 messages may arrive twice/);
    await until('the rest', () => linesOf('3').length >= 200, 30_000);
    t.strictSame(
      linesOf('3'),
      Array.from({ length: 200 }, (_, i) => String(200 + i)),
    );
    t.equal(await third.stop(), 0, third.stderr);
    await until(
      'all acknowledged',
      async () => (await manager.consumers.info('S', 'D')).num_ack_pending === 0,
    );
  },
);

t.test(
  'messages that limits removed while the receiver was away are reported',
  { skip: noServer },
  async (t) => {
    const server = await jetServer(t);
    const { js } = await streamOf(t, server, 'S', ['a'], { max_msgs: 50 });
    const url = `${server.url('a')},stream=S`;
    const receive = (key = '') =>
      start(t, 'server', ['--path', '-', '--listen-addr', url + key, '--from-start']);
    const durable = receive(',durable=D');
    const ordered = receive();
    for (const one of [durable, ordered]) await one.says('connected to');
    await js.publish('a', '0\n');
    for (const one of [durable, ordered]) await until('the first', () => String(one.stdout) === '0\n');
    t.equal(await durable.stop(), 0, durable.stderr);
    ordered.child.kill('SIGSTOP');
    await server.kill();
    await server.restart();
    const later = jetstream(await peerOf(t, server));
    for (let i = 1; i < 200; i++) await later.publish('a', `${i}\n`);
    ordered.child.kill('SIGCONT');
    const again = receive(',durable=D');
    for (const one of [again, ordered]) {
      await one.says(
        /messages 2 to 150 of stream S are lost: the stream removed them before they were received; check its limits/,
        20_000,
      );
      await until('the last', () => /199\n$/.test(String(one.stdout)));
      t.equal(await one.stop(), 0, one.stderr);
      t.match(one.stderr, /lost in all: .*149 messages lost: they were removed before they were received/);
    }
    t.match(String(again.stdout), /^150\n/);
  },
);

t.test(
  'sinks that take nothing for long: what waits is bounded, and nothing is lost',
  { skip: noServer },
  async (t) => {
    const server = await jetServer(t);
    const { js } = await streamOf(t, server, 'S', ['a']);
    const ours = start(t, 'server', ['--path', '-', '--listen-addr', `${server.url('a')},stream=S`]);
    await ours.says('connected to');
    ours.child.stdout!.pause();
    const line = 'x'.repeat(49_999);
    for (let i = 0; i < 400; i++) await js.publish('a', `${String(i).padStart(5)}${line}\n`);
    const memory = Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${ours.child.pid}/status`, 'utf8'))![1]);
    t.ok(memory < 130_000, `${memory} kB`);
    ours.child.stdout!.resume();
    await until('all of it', () => ours.stdout.length === 400 * (line.length + 6), 60_000);
    t.notMatch(ours.stderr, /lost/);
  },
);

t.test('receivers that share a durable consumer get each message once', { skip: noServer }, async (t) => {
  const server = await jetServer(t);
  const { js, manager } = await streamOf(t, server, 'S', ['a']);
  const url = `${server.url('a')},stream=S,durable=D`;
  const members = [1, 2].map(() => start(t, 'server', ['--path', '-', '--listen-addr', url, '--from-start']));
  for (const member of members) await member.says('connected to');
  await until('two requests', async () => (await manager.consumers.info('S', 'D')).num_waiting === 2);
  for (let i = 0; i < 1000; i++) await js.publish('a', `${i}\n`);
  const got = () => members.flatMap(({ stdout }) => String(stdout).split('\n').filter(Boolean));
  await until('all messages', () => got().length >= 1000);
  t.equal(new Set(got()).size, 1000);
  for (const member of members) {
    t.ok(member.stdout.length > 0);
    t.equal(await member.stop(), 0, member.stderr);
    t.notMatch(member.stderr, /lost/);
  }
  t.equal(got().length, 1000);
});

t.test(
  'a server that hangs: what it does not acknowledge is sent again, and stored once',
  { skip: noServer },
  async (t) => {
    const server = await jetServer(t);
    const { state } = await streamOf(t, server, 'S', ['a']);
    const url = `${server.url('a')},stream=S`;
    const flags = ['--path', '-', '--frame', 'line', '--server-addr', url, '--stats', '1', '--linger', '60s'];
    const client = start(t, 'client', flags);
    await client.says('connected to');
    client.child.stdin!.write('first\n');
    await until('the first', async () => (await state()).messages === 1);
    await server.hang();
    client.child.stdin!.end('second\nthird\n');
    await client.says(/no acknowledgement for 5 s: sending 2 messages again/, 20_000);
    server.signal('SIGCONT');
    t.equal(await client.exited, 0, client.stderr);
    t.equal((await state()).messages, 3);
    t.match(client.stderr, /2 messages sent again/);
    t.notMatch(client.stderr, /lost/);
  },
);

t.test(
  'a relay between streams, killed with -9 while it cannot pass on, loses nothing',
  { skip: noServer },
  async (t) => {
    const [from, to] = [await jetServer(t), await jetServer(t)];
    const { js } = await streamOf(t, from, 'S', ['a']);
    const { state } = await streamOf(t, to, 'T', ['b']);
    const flags = ['--udp-listen-addr', `${from.url('a')},stream=S,durable=D`, '--from-start'];
    flags.push('--udp-downstream-addr', `${to.url('b')},stream=T`, '--stats', '1');
    const first = start(t, 'forward', flags);
    await first.says('created the durable consumer');
    await js.publish('a', '0\n');
    await until('the first', async () => (await state()).messages === 1);
    await to.hang();
    for (let i = 1; i < 100; i++) await js.publish('a', `${i}\n`);
    await first.says(/stream=S,durable=D: 100 datagrams/);
    await first.kill();
    to.signal('SIGCONT');
    const second = start(t, 'forward', flags);
    await second.says(/resuming after message 1 of stream S in .*; 99 messages may arrive twice/);
    await until('all of them', async () => (await state()).messages >= 100, 30_000);
    t.equal(await second.stop(), 0, second.stderr);
  },
);
