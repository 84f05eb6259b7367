import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { udpSend } from '../support/net.js';
import { inOneOfSome, untrue } from '../support/tries.js';
import { until } from '../support/wait.js';
import { joined, piecesOf, rotated } from './rotated.js';

const KIB = 1024;
/** 20 of them are less than 64 KiB, 22 are more. */
const LINES = Array.from({ length: 50 }, (_, i) => `${i} ${'x'.repeat(3000)}\n`);
const ALL = LINES.join('');

function serve(t: Test, file: string, ...args: string[]): Running {
  return start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0', ...args]);
}

/** Sends, and waits until it is in the files. */
async function fill(server: Running, file: string, datagrams: string[], nth = 0): Promise<void> {
  const port = await server.port(nth);
  const before = joined(file).length;
  await udpSend(port, datagrams);
  await until('it is written', () => joined(file).length === before + datagrams.join('').length);
}

t.test('--rotate-size is the most that a file has, and what it had counts', async (t) => {
  const had = `${'y'.repeat(40 * KIB - 1)}\n`;
  const file = join(t.testdir({ out: had }), 'out');
  const server = serve(t, file, '--rotate-size', '64KiB', '--stats', '1h');
  await fill(server, file, LINES);
  t.equal(await server.stop(), 0);
  const sizes = [...piecesOf(file), file].map((path) => statSync(path).size);
  t.equal(sizes.length, 3);
  t.ok(
    sizes.every((size) => size <= 64 * KIB),
    sizes.join(' '),
  );
  t.ok(
    sizes.slice(0, -1).every((size) => size > 60 * KIB),
    'and not less than a datagram would fit',
  );
  t.equal(joined(file), had + ALL, 'no datagram is parted');
  t.match(server.stderr, /150\.\d kB, 2 rotations/);
  const again = serve(t, file, '--rotate-size', '1MiB');
  await again.port();
  t.equal(await again.stop(), 0);
  t.equal(piecesOf(file).length, 2, 'a start rotates nothing by itself');
});

t.test('a datagram and the newline that it lacks stay together', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = serve(t, file, '--rotate-size', '64KiB', '--frame', 'line');
  // The second fits in the first file, its newline does not; the third fits in the second file to the byte.
  const datagrams = ['a'.repeat(32_768), 'b'.repeat(32_767), 'c'.repeat(32_767)];
  await udpSend(await server.port(), datagrams);
  await until('it is written', () => joined(file).length === 32_769 + 2 * 32_768);
  t.equal(joined(file), datagrams.map((one) => `${one}\n`).join(''));
  t.same(
    [...piecesOf(file), file].map((path) => statSync(path).size),
    [32_769, 65_536],
  );
  t.equal(await server.stop(), 0);
});

t.test('each file of several listeners is rotated, and --merge has one', async (t) => {
  for (const merge of [[], ['--merge']]) {
    const dir = t.testdir();
    const file = join(dir, 'out');
    const server = serve(t, file, '--listen-addr', '[::1]:0', '--rotate-size', '64KiB', ...merge);
    const ports = [await server.port(0), await server.port(1)];
    const files = merge.length ? [file] : [`${file}.127.0.0.1:0`, `${file}.[::1]:0`];
    await Promise.all([udpSend(ports[0]!, LINES), udpSend(ports[1]!, LINES, '::1')]);
    await until('all are there', () => files.map(joined).join('').length === 2 * ALL.length);
    t.same(files.map(joined).join('').split('\n').sort(), (ALL + ALL).split('\n').sort());
    for (const one of files) t.ok(piecesOf(one).length >= 2, one);
    t.equal(await server.stop(), 0);
  }
});

t.test('--rotate-every rotates what is not empty, by the clock', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = serve(t, file, '--rotate-every', '1s');
  let pieces = 0;
  await inOneOfSome(t, async () => {
    await fill(server, file, ['one\n']);
    await rotated(file, ++pieces);
    const [, ms] = /\.(\d{3})$/.exec(piecesOf(file).at(-1)!)!;
    return untrue({ [`at a whole second: ${ms} ms`]: Number(ms) < 300 });
  });
  const before = Math.floor(Date.now() / 1000);
  await until('two more periods are over', () => Date.now() / 1000 >= before + 2.5);
  t.equal(piecesOf(file).length, pieces, 'an empty file is left alone');
  await fill(server, file, ['two\n']);
  await rotated(file, pieces + 1);
  t.equal(joined(file), `${'one\n'.repeat(pieces)}two\n`);
  t.equal(await server.stop(), 0);
});

t.test('what an earlier run wrote in an earlier period is rotated at the start', async (t) => {
  const file = join(t.testdir({ out: 'long ago\n' }), 'out');
  const then = Date.now() / 1000 - 48 * 3600;
  utimesSync(file, then, then);
  const server = serve(t, file, '--rotate-every', '24h');
  await rotated(file, 1);
  t.equal(readFileSync(file, 'utf8'), '');
  t.equal(readFileSync(piecesOf(file)[0]!, 'utf8'), 'long ago\n');
  t.equal(await server.stop(), 0);
});

t.test('--keep removes the oldest, of earlier runs too, and nothing else', async (t) => {
  const others = ['out.1', 'out.20200101', 'out.20200101-000000', 'out.x.20200101-000000.000'];
  const old = ['out.20200101-000000.000', 'out.20200102-000000.000.gz', 'out.20200103-000000.000'];
  const content = Object.fromEntries([...others, ...old].map((name) => [name, name]));
  const dir = t.testdir(content);
  const file = join(dir, 'out');
  const server = serve(t, file, '--rotate-size', '64KiB', '--keep', '2');
  await until('the first is removed', () => !existsSync(join(dir, old[0]!)));
  t.equal(piecesOf(file).length, 2);
  await udpSend(await server.port(), LINES);
  await until('the old are removed', () => !old.some((name) => existsSync(join(dir, name))));
  await until('all is there', () => joined(file) === ALL);
  t.same(
    readdirSync(dir).filter((name) => name in content),
    others.sort(),
  );
  t.equal(await server.stop(), 0);
});

t.test('names are in the order of the data, also when the clock was set back', async (t) => {
  const future = 'out.29991231-235959.999';
  const file = join(t.testdir({ [future]: 'first\n' }), 'out');
  const server = serve(t, file, '--rotate-size', '64KiB');
  await fill(server, file, LINES);
  t.equal(joined(file), `first\n${ALL}`);
  t.same(
    piecesOf(file).map((path) => path.slice(-19)),
    [future.slice(-19), '30000101-000000.000', '30000101-000000.001'],
  );
  t.equal(await server.stop(), 0);
});

t.test('SIGHUP opens the file again, and what the new one has counts', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = serve(t, file, '--rotate-size', '64KiB');
  await fill(server, file, LINES.slice(0, 15));
  renameSync(file, `${file}.moved`);
  writeFileSync(file, 'z'.repeat(50 * KIB));
  server.child.kill('SIGHUP');
  await server.says('reopened');
  await fill(server, file, LINES.slice(0, 10));
  t.equal(piecesOf(file).length, 1);
  t.equal(statSync(piecesOf(file)[0]!).size, 50 * KIB + LINES.slice(0, 4).join('').length);
  t.equal(await server.stop(), 0);
});

t.test('what somebody else put in the place of the file is not renamed', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = serve(t, file, '--rotate-size', '64KiB');
  await fill(server, file, LINES.slice(0, 15));
  renameSync(file, `${file}.moved`);
  writeFileSync(file, 'theirs\n', { mode: 0o600 });
  await udpSend(await server.port(), LINES.slice(15, 25));
  const moved = () => readFileSync(`${file}.moved`, 'utf8');
  await until(
    'all is there',
    () => moved() + readFileSync(file, 'utf8').slice(7) === LINES.slice(0, 25).join(''),
  );
  t.ok(readFileSync(file, 'utf8').startsWith('theirs\n'));
  t.equal(statSync(file).mode & 0o777, 0o600, 'it stays for whom they made it');
  t.equal(piecesOf(file).length, 0);
  t.equal(await server.stop(), 0);
});

t.test('the new file has the mode of the old one, and a link still leads to it', async (t) => {
  const dir = t.testdir({ real: {} });
  const file = join(dir, 'real', 'out');
  writeFileSync(file, '', { mode: 0o600 });
  symlinkSync(file, join(dir, 'link'));
  const server = serve(t, join(dir, 'link'), '--rotate-size', '64KiB');
  await fill(server, file, LINES);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.same(readdirSync(dir).sort(), ['link', 'real']);
  t.equal(piecesOf(file).length, 2);
  t.equal(await server.stop(), 0);
});

t.test('only a file can be rotated, and a directory that can be written to is needed', async (t) => {
  const dir = t.testdir();
  const fifo = join(dir, 'fifo');
  execFileSync('mkfifo', [fifo]);
  for (const path of [fifo, '/dev/null']) {
    const server = serve(t, path, '--rotate-size', '64KiB');
    t.equal(await server.exited, 1);
    t.equal(server.stderr, `mproxy-server: opening: ${path}: only a file can be rotated\n`);
  }
});

t.test('a rotation that fails is told once, and the data goes on in the old file', async (t) => {
  const dir = t.testdir({ logs: {} });
  const file = join(dir, 'logs', 'out');
  const server = serve(t, file, '--rotate-size', '64KiB');
  await server.port();
  renameSync(file, join(dir, 'moved'));
  // A directory in the file's place cannot be opened to write, by root neither.
  mkdirSync(file);
  for (const text of [ALL, ALL + ALL]) {
    await udpSend(await server.port(), LINES);
    await until('all is there', () => readFileSync(join(dir, 'moved'), 'utf8') === text);
  }
  await server.says(/rotating: .*out: it is a directory; going on with the old file, trying every 10 s/);
  t.equal(server.stderr.split('it is a directory').length, 2, 'told once');
  t.equal(await server.stop(), 1, 'what was asked for was not done');
  t.match(server.stderr, /mproxy-server: rotating: .*out: it is a directory\n$/);
  rmdirSync(file);
});
