import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { start } from '../support/command.js';
import { udpSend } from '../support/net.js';
import { until } from '../support/wait.js';
import { contentOf, joined, piecesOf } from './rotated.js';

const LINES = Array.from({ length: 80 }, (_, i) => `${i} ${String(i).repeat(1000)}\n`);
/** Zeros that are nowhere on the disk, and take many seconds to compress. */
const LARGE = 4e9;
const ROTATE = ['--listen-addr', '127.0.0.1:0', '--rotate-size', '64KiB'];

t.test('--gzip compresses what was rotated, and it unpacks to what it was', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = start(t, 'server', ['--path', file, ...ROTATE, '--gzip']);
  await udpSend(await server.port(), LINES);
  const packed = () => piecesOf(file).every((path) => path.endsWith('.gz'));
  await until('all is there, and compressed', () => joined(file) === LINES.join('') && packed());
  t.ok(piecesOf(file).length >= 2);
  for (const path of piecesOf(file)) {
    t.ok(contentOf(path).length <= 64 * 1024);
    t.ok(statSync(path).size < 16 * 1024, 'smaller');
  }
  t.equal(await server.stop(), 0);
});

t.test('a start finishes what an earlier run left, and keeps every piece once', async (t) => {
  const dir = t.testdir({
    'out.20200101-000000.000': 'one\n',
    // It was killed while it compressed this one,
    'out.20200102-000000.000': 'two\n',
    'out.20200102-000000.000.gz.part': 'half',
    // and after it had compressed this one.
    'out.20200103-000000.000': 'three\n',
    'out.20200103-000000.000.gz': gzipSync('three\n'),
    'other.20200103-000000.000.gz.part': 'of another file',
  });
  const server = start(t, 'server', ['--path', join(dir, 'out'), ...ROTATE, '--gzip']);
  const expected = [
    'other.20200103-000000.000.gz.part',
    'out',
    ...['1', '2', '3'].map((day) => `out.2020010${day}-000000.000.gz`),
  ];
  await until('all are compressed', () => String(readdirSync(dir).sort()) === String(expected));
  t.equal(joined(join(dir, 'out')), 'one\ntwo\nthree\n');
  t.equal(await server.stop(), 0);
});

t.test('a stop does not wait for compression, and leaves nothing half done', async (t) => {
  const name = 'out.20200101-000000.000';
  const dir = t.testdir({ [name]: '' });
  truncateSync(join(dir, name), LARGE);
  const server = start(t, 'server', ['--path', join(dir, 'out'), ...ROTATE, '--gzip']);
  await server.port();
  await until('it compresses', () => existsSync(join(dir, `${name}.gz.part`)));
  t.equal(await server.stop(), 0);
  t.same(readdirSync(dir).sort(), ['out', name]);
  t.equal(statSync(join(dir, name)).size, LARGE);
});

t.test('a piece that is to be removed while it is compressed is removed', async (t) => {
  const name = 'out.20200101-000000.000';
  const dir = t.testdir({ [name]: '' });
  truncateSync(join(dir, name), LARGE);
  const file = join(dir, 'out');
  const server = start(t, 'server', ['--path', file, ...ROTATE, '--gzip', '--keep', '1']);
  await until('it compresses', () => existsSync(join(dir, `${name}.gz.part`)));
  await udpSend(await server.port(), LINES.slice(0, 40));
  await until('only the newest is left', () => readdirSync(dir).length === 2);
  await until('it is compressed', () => piecesOf(file).every((path) => path.endsWith('.gz')));
  t.notOk(existsSync(join(dir, name)));
  t.equal(await server.stop(), 0);
});

t.test('what cannot be compressed is told once, and stays as it is', async (t) => {
  const name = 'out.20200101-000000.000';
  const dir = t.testdir({ [name]: 'one\n' });
  // The place of the compressed one is taken, by what a rename does not replace.
  mkdirSync(join(dir, `${name}.gz`, 'x'), { recursive: true });
  const server = start(t, 'server', ['--path', join(dir, 'out'), ...ROTATE, '--gzip']);
  await server.says(/compressing: .*out: .*; leaving it as it is until the next rotation/);
  await udpSend(await server.port(), LINES);
  await until('all came', () => readFileSync(join(dir, 'out'), 'utf8').endsWith(LINES.at(-1)!));
  t.equal(readFileSync(join(dir, name), 'utf8'), 'one\n');
  t.equal(await server.stop(), 1);
  t.equal(server.stderr.split('leaving it as it is').length, 2);
  t.notOk(readdirSync(dir).some((one) => one.endsWith('.part')));
});

t.test('links and FIFOs that look like rotated files are neither followed nor waited for', async (t) => {
  const day = (nth: number) => `out.2020010${nth}-000000.000`;
  const dir = t.testdir({ other: 'of somebody\n', [day(3)]: 'three\n' });
  symlinkSync('other', join(dir, day(1)));
  execFileSync('mkfifo', [join(dir, day(2))]);
  const server = start(t, 'server', ['--path', join(dir, 'out'), ...ROTATE, '--gzip', '--keep', '1']);
  await server.port();
  await until('the file is compressed', () => !existsSync(join(dir, day(3))));
  t.same(readdirSync(dir).sort(), ['other', 'out', day(1), day(2), `${day(3)}.gz`]);
  t.equal(await server.stop(), 0);
});
