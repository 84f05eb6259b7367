import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { start } from '../support/command.js';
import { freeUdpPort, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

t.test('--progress shows how much of a file was sent, on stderr', async (t) => {
  const sink = await udpSink(t);
  const file = join(t.testdir(), 'in');
  writeFileSync(file, `${'x'.repeat(999)}\n`.repeat(200));
  const to = ['--server-addr', `127.0.0.1:${sink.port}`, '--payload', '1000', '--rate', '80pps'];
  const client = start(t, 'client', ['--path', file, '--tee', '--progress', ...to]);
  t.equal(await client.exited, 0);
  const lines = client.stderr.split('\n').filter((line) => line.startsWith('['));
  t.ok(lines.length >= 2, 'it is told while it goes on');
  t.match(lines[0], /^\[#*\.*\] \d+ % {2}[\d.]+ k?B {2}[\d.]+ Mbps {2}[\d.]+ m?s {2}ETA [\d.]+ m?s$/);
  t.match(lines.at(-1), /^\[#+\] 100 % {2}200\.0 kB /);
  t.equal(client.stdout.length, 200_000, 'and stdout has the data alone');
});

t.test('--progress of a pipe has no end to tell', async (t) => {
  const client = start(t, 'client', ['--path', '-', '--tee', '--progress']);
  client.child.stdin!.end('one\n');
  t.equal(await client.exited, 0);
  t.match(client.stderr, /^4 B {2}/m);
  t.notMatch(client.stderr, '%');
});

t.test('without a terminal there is no progress unless asked for', async (t) => {
  const file = join(t.testdir({ in: 'one\n' }), 'in');
  const client = start(t, 'client', ['--path', file, '--tee']);
  t.equal(await client.exited, 0);
  t.equal(client.stderr, '');
});

t.test('a client with only --tee is cat', async (t) => {
  const client = start(t, 'client', ['--path', '-', '-t']);
  client.child.stdin!.write('one\ntw');
  await until('the tee holds nothing back', () => String(client.stdout) === 'one\ntw');
  client.child.stdin!.end('o\0\n\n');
  t.equal(await client.exited, 0);
  t.equal(String(client.stdout), 'one\ntwo\0\n\n');
  t.equal(client.stderr, '');
});

t.test('--tee waits for a slow reader, and loses nothing', async (t) => {
  const file = join(t.testdir(), 'in');
  const bytes = Buffer.alloc(20_000_000, 'abcdefg\n');
  writeFileSync(file, bytes);
  const client = start(t, 'client', ['--path', file, '--tee', '--stats', '0.1']);
  client.child.stdout!.pause();
  await client.says('stats: ');
  t.ok(client.running, 'it waits');
  client.child.stdout!.resume();
  t.equal(await client.exited, 0);
  t.ok(client.stdout.equals(bytes));
});

t.test('a file is sent whole, and in order, to whoever listens', async (t) => {
  const file = join(t.testdir(), 'in');
  const bytes = Buffer.from(Array.from({ length: 15_000 }, (_, i) => `line ${i}\n`).join(''));
  writeFileSync(file, bytes);
  const sink = await udpSink(t);
  const client = start(t, 'client', ['--path', file, '--server-addr', `127.0.0.1:${sink.port}`]);
  t.equal(await client.exited, 0);
  t.ok((await sink.has(bytes.length)).equals(bytes));
});

t.test('a destination that refuses everything is not the end of a file', async (t) => {
  const sink = await udpSink(t);
  const to = [await freeUdpPort(), sink.port].flatMap((port) => ['--server-addr', `127.0.0.1:${port}`]);
  const client = start(t, 'client', ['--path', '-', '--frame', 'line', ...to]);
  client.child.stdin!.end('x\n'.repeat(100));
  t.equal(await client.exited, 0);
  await until('the other has all', () => sink.datagrams.length === 100);
});
