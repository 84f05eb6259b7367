import { createWriteStream, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import t from 'tap';
import { type Running, start } from '../support/command.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { contentOf, joined, piecesOf } from './rotated.js';

const node = process.env.ENGINE === 'node' || process.platform !== 'linux';
/** node:dgram takes in less. */
const RATE = node ? 20_000 : 100_000;
const SIZE = 512 * 1024;

t.test(`rotation at ${RATE} datagrams a second loses none, parts none, and keeps their order`, async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const dir = t.testdir();
  const [input, file] = [join(dir, 'in'), join(dir, 'out')];
  await pipeline(numbered(random, RATE * 3), createWriteStream(input));
  const server = start(t, 'server', [
    ...['--path', file, '--listen-addr', '127.0.0.1:0', '--stats', '0.1'],
    ...['--rotate-size', String(SIZE), '--rotate-every', '1s', '--gzip'],
  ]);
  const to = ['--server-addr', `127.0.0.1:${await server.port()}`, '--frame', 'line', '--rate', `${RATE}pps`];
  const client = start(t, 'client', ['--path', input, ...to, '--engine', 'auto']);
  t.equal(await client.exited, 0, client.stderr);
  await until('all came, or were dropped', () => told(server) === RATE * 3, 30_000);
  t.equal(await server.stop(), 0, server.stderr);
  const pieces = piecesOf(file);
  t.ok(pieces.length >= 3, `${pieces.length} pieces`);
  t.ok([...pieces, file].every((path) => contentOf(path).length <= SIZE));
  const drops = [...server.stderr.matchAll(/ ([\d,]+) kernel drops?/g)].at(-1)?.[1];
  const dropped = drops?.replaceAll(',', '') ?? '0';
  t.comment(`the kernel dropped ${dropped}`);
  let next = 0;
  let missing = 0;
  let wrong = 0;
  for (const line of joined(file).split(/(?<=\n)/)) {
    const number = Number(line.slice(0, 8));
    if (number < next || line !== lineOf(number, line.length)) wrong++;
    missing += number - next;
    next = number + 1;
  }
  missing += RATE * 3 - next;
  t.equal(wrong, 0, 'whole, and in order');
  t.equal(missing, Number(dropped), 'all but what the kernel dropped');
  t.notOk(readdirSync(dir).some((name) => name.endsWith('.part')));
});

t.test('several threads of one file rotate it together', { skip: node && 'no threads' }, async (t) => {
  const dir = t.testdir();
  const [input, file] = [join(dir, 'in'), join(dir, 'out')];
  const count = 60_000;
  await pipeline(numbered(new Random(1), count), createWriteStream(input));
  const listen = [0, 1, 2].flatMap(() => ['--listen-addr', '127.0.0.1:0']);
  const rotate = ['--rotate-size', '64KiB', '--rotate-every', '1s'];
  const server = start(t, 'server', ['--path', file, '--merge', ...listen, ...rotate, '--stats', '0.1']);
  const clients = [];
  for (const nth of [0, 1, 2]) {
    const to = ['--server-addr', `127.0.0.1:${await server.port(nth)}`, '--frame', 'line'];
    clients.push(start(t, 'client', ['--path', input, ...to, '--rate', '20000pps']));
  }
  for (const client of clients) t.equal(await client.exited, 0, client.stderr);
  await until('all came, or were dropped', () => told(server, 3) === 3 * count, 30_000);
  t.equal(await server.stop(), 0);
  const sizes = [...piecesOf(file), file].map((path) => statSync(path).size);
  t.ok(
    sizes.every((size) => size <= 64 * 1024),
    sizes.join(' '),
  );
  const dropped = [...server.stderr.matchAll(/ ([\d,]+) kernel drops?/g)]
    .slice(-3)
    .reduce((sum, [, drops]) => sum + Number(drops!.replaceAll(',', '')), 0);
  const seen = new Array<number>(count).fill(0);
  let wrong = 0;
  for (const line of joined(file).split(/(?<=\n)/)) {
    const number = Number(line.slice(0, 8));
    if (line === lineOf(number, line.length)) seen[number]!++;
    else wrong++;
  }
  t.equal(wrong, 0, 'no datagram is torn');
  t.equal(Math.max(...seen), 3, 'none is there twice');
  const found = seen.reduce((sum, times) => sum + times, 0);
  t.equal(found, 3 * count - dropped, 'all but what the kernel dropped');
});

/** The datagrams that a server of so many listeners says it took, and the kernel dropped, in its last lines of --stats. */
function told({ stderr }: Running, listeners = 1): number {
  const lines = stderr.match(/stats: .*(?= -> .*\n)/g)?.slice(-listeners) ?? [];
  const counts = lines.join().matchAll(/([\d,]+) (?:datagrams?|kernel drops?)\b/g);
  return [...counts].reduce((sum, [, count]) => sum + Number(count!.replaceAll(',', '')), 0);
}

/** The line of a number, in which each byte follows from it. */
function lineOf(number: number, length: number): string {
  return `${String(number).padStart(8, '0')} ${'abcdefghij'[number % 10]!.repeat(length - 10)}\n`;
}

function* numbered(random: Random, count: number): Generator<string> {
  let text = '';
  for (let number = 0; number < count; number++) {
    text += lineOf(number, random.integer(10, 150));
    if (text.length < 65_536 && number < count - 1) continue;
    yield text;
    text = '';
  }
}
