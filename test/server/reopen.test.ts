import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { start } from '../support/command.js';
import { udpSend } from '../support/net.js';
import { until } from '../support/wait.js';

t.test('SIGHUP opens the file again after it was renamed, and nothing is lost', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0']);
  const port = await server.port();
  const files = [`${file}.1`, `${file}.2`, `${file}.3`, file];
  const written = () =>
    files
      .filter((path) => existsSync(path))
      .map((path) => readFileSync(path, 'utf8'))
      .join('');
  let sent = '';
  const burst = async () => {
    const datagrams = Array.from({ length: 100 }, (_, i) => `datagram ${sent.length} ${i}\n`);
    sent += datagrams.join('');
    await udpSend(port, datagrams);
  };
  for (const turn of [1, 2, 3]) {
    await burst();
    await until('it is written', () => readFileSync(file).length > 0);
    // Renamed and reopened in the middle of what comes in.
    const more = burst();
    renameSync(file, `${file}.${turn}`);
    server.child.kill('SIGHUP');
    await more;
    await until('it was opened again', () => server.stderr.split(': reopened').length > turn);
    await burst();
    await until('all are there', () => written().length >= sent.length);
  }
  t.equal(written(), sent, 'whole, and in order');
  t.ok(files.every((path) => readFileSync(path).length > 0));
  t.equal(await server.stop(), 0);
});

t.test('every file of several listeners is opened again', async (t) => {
  const dir = t.testdir();
  const typed = ['127.0.0.1:0', '[::1]:0'];
  const from = typed.flatMap((address) => ['--listen-addr', address]);
  const server = start(t, 'server', ['--path', join(dir, 'out'), ...from]);
  await server.port(1);
  const files = typed.map((address) => join(dir, `out.${address}`));
  for (const file of files) renameSync(file, `${file}.1`);
  server.child.kill('SIGHUP');
  await until('they are there again', () => files.every((file) => existsSync(file)));
  t.equal(await server.stop(), 0);
});

t.test('a file that cannot be opened again is written on', async (t) => {
  const dir = t.testdir({ logs: {} });
  const file = join(dir, 'logs', 'out');
  const server = start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0']);
  const port = await server.port();
  await udpSend(port, ['one\n']);
  await until('it is written', () => readFileSync(file, 'utf8') === 'one\n');
  renameSync(file, join(dir, 'moved'));
  // A directory in the file's place cannot be opened to write, by root neither.
  mkdirSync(file);
  server.child.kill('SIGHUP');
  await server.says(/reopening: .*: it is a directory; going on with the old file/);
  await udpSend(port, ['two\n']);
  await until('it is written', () => readFileSync(join(dir, 'moved'), 'utf8') === 'one\ntwo\n');
  rmdirSync(file);
  server.child.kill('SIGHUP');
  await until('there is a new file', () => existsSync(file));
  chmodSync(file, 0o644);
  await udpSend(port, ['three\n']);
  await until('it is written', () => readFileSync(file, 'utf8') === 'three\n');
  t.equal(await server.stop(), 0);
});
