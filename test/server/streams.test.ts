import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { start, startProgram } from '../support/command.js';
import { udpSend } from '../support/net.js';
import { until } from '../support/wait.js';

t.test('- is stdout, for any number of listeners', async (t) => {
  const from = ['--listen-addr', '127.0.0.1:0', '--listen-addr', '[::1]:0'];
  for (const tee of [[], ['--tee']]) {
    const server = start(t, 'server', ['--path', '-', ...from, ...tee]);
    await udpSend(await server.port(0), ['one\n']);
    await until('the first is there', () => server.stdout.length > 0);
    await udpSend(await server.port(1), ['two\n'], '::1');
    await until('both are there', () => server.stdout.length >= 8);
    t.equal(await server.stop(), 0);
    t.equal(String(server.stdout), 'one\ntwo\n', 'and written once');
  }
});

t.test('--tee is what the file gets, of all listeners', async (t) => {
  const dir = t.testdir();
  const from = ['--listen-addr', '127.0.0.1:0', '--listen-addr', '[::1]:0'];
  const server = start(t, 'server', ['--path', join(dir, 'out'), '--tee', ...from]);
  await udpSend(await server.port(0), ['one\n']);
  await udpSend(await server.port(1), ['two\n'], '::1');
  await until('both are there', () => server.stdout.length === 8);
  t.same(String(server.stdout).split('\n').sort(), ['', 'one', 'two']);
  t.equal(await server.stop(), 0);
  t.equal(readFileSync(join(dir, 'out.127.0.0.1:0'), 'utf8'), 'one\n');
  t.equal(readFileSync(join(dir, 'out.[::1]:0'), 'utf8'), 'two\n');
});

t.test('a FIFO gets all of several listeners, and outlives its reader', async (t) => {
  const path = join(t.testdir(), 'fifo');
  execFileSync('mkfifo', [path]);
  const from = ['--listen-addr', '127.0.0.1:0', '--listen-addr', '127.0.0.1:0'];
  const server = start(t, 'server', ['--path', path, ...from]);
  const ports = [await server.port(0), await server.port(1)];
  for (const round of [1, 2]) {
    const reader = startProgram(t, 'cat', [path]);
    await udpSend(ports[0]!, ['one\n']);
    await udpSend(ports[1]!, ['two\n']);
    await until('the reader has both', () => reader.stdout.length === 8);
    t.same(String(reader.stdout).split('\n').sort(), ['', 'one', 'two'], `reader ${round}`);
    await reader.stop();
  }
  t.equal(await server.stop(), 0);
});

t.test('a FIFO without a reader does not keep the server from starting or ending', async (t) => {
  const path = join(t.testdir(), 'fifo');
  execFileSync('mkfifo', [path]);
  const server = start(t, 'server', ['--path', path, '--listen-addr', '127.0.0.1:0', '--tee']);
  await udpSend(await server.port(), ['x\n']);
  await until('the tee has it', () => String(server.stdout) === 'x\n');
  t.equal(await server.stop(), 0);
});

t.test('/dev/null takes everything', async (t) => {
  const from = ['--listen-addr', '127.0.0.1:0', '--listen-addr', '127.0.0.1:0'];
  const server = start(t, 'server', ['--path', '/dev/null', ...from, '--stats', '0.1']);
  await udpSend(await server.port(0), ['x\n']);
  await server.says(/-> \/dev\/null: 1 datagram 2 B/);
  t.equal(await server.stop(), 0);
  t.notOk(existsSync('/dev/null.127.0.0.1:0'));
});

t.test('port 0 is picked by the system, one for all answers of a name', async (t) => {
  const server = start(t, 'server', ['--path', '-', '--listen-addr', 'localhost:0']);
  const port = await server.port();
  t.not(port, 0);
  const told = () => [...server.stderr.matchAll(/listening: udp (\S+):(\d+)/g)].map(([, host]) => host);
  await udpSend(port, ['four\n']);
  await until('it came', () => String(server.stdout).includes('four\n'));
  if (told().includes('[::1]')) {
    t.equal(await server.port(1), port, 'the same for both');
    await udpSend(port, ['six\n'], '::1');
    await until('it came too', () => String(server.stdout).includes('six\n'));
  } else t.comment('localhost is 127.0.0.1 alone here');
  t.ok(told().includes('127.0.0.1'));
  t.equal(await server.stop(), 0);
});

t.test('[::] takes IPv4 too, unless 0.0.0.0 is asked for as well', async (t) => {
  const both = start(t, 'server', ['--path', '-', '--listen-addr', '[::]:0']);
  const port = await both.port();
  await udpSend(port, ['four\n']);
  await udpSend(port, ['six\n'], '::1');
  await until('both came', () => both.stdout.length === 9);
  t.equal(await both.stop(), 0);
  const dir = t.testdir();
  const typed = [`[::]:${port}`, `0.0.0.0:${port}`];
  const from = typed.flatMap((address) => ['--listen-addr', address]);
  const apart = start(t, 'server', ['--path', join(dir, 'out'), ...from]);
  await apart.port(1);
  await udpSend(port, ['four\n']);
  await udpSend(port, ['six\n'], '::1');
  const contents = () => typed.map((address) => readFileSync(join(dir, `out.${address}`), 'utf8'));
  await until('both came', () => contents().join('').length === 9);
  t.same(contents(), ['six\n', 'four\n']);
  t.equal(await apart.stop(), 0);
});
