import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { fails } from '../commands/outcome.js';
import { start } from '../support/command.js';
import { freeUdpPort, udpSend } from '../support/net.js';
import { Random } from '../support/random.js';
import { mostlyWithin } from '../support/tries.js';
import { until } from '../support/wait.js';

t.test('one listener appends to the file', async (t) => {
  const file = join(t.testdir({ out: 'there already\n' }), 'out');
  for (const word of ['one\n', 'two\n']) {
    const server = start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0']);
    await udpSend(await server.port(), [word]);
    await until('it is in the file', () => readFileSync(file, 'utf8').endsWith(word));
    t.equal(await server.stop(), 0);
  }
  t.equal(readFileSync(file, 'utf8'), 'there already\none\ntwo\n');
});

t.test('several listeners write a file each, named by the address as typed', async (t) => {
  const dir = t.testdir();
  const [a, b, c] = [await freeUdpPort(), await freeUdpPort(), await freeUdpPort()];
  const group = `239.77.1.1:${c},interface=lo`;
  const typed = [`127.0.0.1:${a}`, `LOCALHOST:${b},frame=line`, group];
  const server = start(t, 'server', [
    ...['--path', join(dir, 'out')],
    ...typed.flatMap((address) => ['--listen-addr', address]),
  ]);
  await server.says(/group 239/);
  await udpSend(a, ['one']);
  await udpSend(b, ['two']);
  const client = start(t, 'client', ['--path', '-', '--server-addr', group]);
  client.child.stdin!.end('three');
  t.equal(await client.exited, 0);
  const names = [`127.0.0.1:${a}`, `LOCALHOST:${b}`, group].map((name) => `out.${name}`);
  const contents = () => names.map((name) => readFileSync(join(dir, name), 'utf8'));
  await until('all are there', () => contents().every((text) => text.length > 0));
  t.same(contents(), ['one', 'two\n', 'three']);
  t.same(readdirSync(dir).sort(), names.sort(), 'and nothing else');
  t.equal(await server.stop(), 0);
});

t.test('what a file name cannot have becomes _', async (t) => {
  const dir = t.testdir();
  const addresses = ['127.0.0.1:0,frame=line', '[::1]:0'];
  const server = start(t, 'server', [
    ...['--path', join(dir, 'out')],
    ...addresses.flatMap((address) => ['--listen-addr', address]),
  ]);
  await server.port(1);
  t.ok(['127.0.0.1:0', '[::1]:0'].every((name) => existsSync(join(dir, `out.${name}`))));
  t.equal(await server.stop(), 0);
});

t.test('subjects: files named without the login', async (t) => {
  const dir = t.testdir();
  // Nothing has to listen there: the files are made at the start.
  const port = await freeUdpPort();
  const server = start(t, 'server', [
    ...['--path', join(dir, 'out')],
    ...['--listen-addr', `nats://site:s3cret@127.0.0.1:${port}/a.>`],
    ...['--listen-addr', `nats://t%40ken@127.0.0.1:${port}/b,queue=q`],
  ]);
  const names = ['a.>', 'b'].map((subject) => `out.127.0.0.1:${port}_${subject}`);
  await until('both files', () => readdirSync(dir).length === 2);
  t.strictSame(readdirSync(dir).sort(), names);
  t.equal(await server.stop(), 0);
});

t.test('--merge writes whole datagrams of all listeners to one file', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const dir = t.testdir();
  const file = join(dir, 'out');
  const from = [0, 1, 2].flatMap(() => ['--listen-addr', '127.0.0.1:0']);
  const server = start(t, 'server', ['--path', file, '--merge', ...from]);
  const ports = [await server.port(0), await server.port(1), await server.port(2)];
  const sent = ports.map((_, i) =>
    Array.from({ length: 200 }, (_, n) => `${i} ${n} ${'abc'[i]!.repeat(random.integer(1, 1200))}\n`),
  );
  await Promise.all(ports.map((port, i) => udpSend(port, sent[i]!)));
  const all = sent.flat().join('').length;
  await until('all are there', () => readFileSync(file).length === all);
  const lines = readFileSync(file, 'utf8').split(/(?<=\n)/);
  t.same([...lines].sort(), sent.flat().sort(), 'none is torn');
  for (const [i, own] of sent.entries())
    t.same(
      lines.filter((line) => line.startsWith(`${i} `)),
      own,
      'each sender in its order',
    );
  t.same(readdirSync(dir), ['out']);
  t.equal(await server.stop(), 0);
});

t.test('frame=line ends every datagram with one newline', async (t) => {
  const file = join(t.testdir(), 'out');
  const framed = 'a\nb\nc\nd\n\n';
  let expected = '';
  for (const [args, tee] of [
    [['--listen-addr', '127.0.0.1:0,frame=line'], 'ab\nc\nd\n'],
    [['--listen-addr', '127.0.0.1:0', '--frame', 'line'], framed],
  ] as const) {
    const server = start(t, 'server', ['--path', file, ...args, '--tee']);
    await udpSend(await server.port(), ['a', 'b\n', 'c\nd', '\n']);
    expected += framed;
    await until('the tee has it', () => server.stdout.length === tee.length);
    t.equal(await server.stop(), 0);
    t.equal(String(server.stdout), tee, 'the tee is framed by the flag alone');
    t.equal(readFileSync(file, 'utf8'), expected);
  }
});

t.test('datagrams without a newline have the server suggest --frame line, once', async (t) => {
  const advice = 'if each is a record of its own, use --frame line';
  const told = async (sent: string[], ...args: string[]) => {
    const file = join(t.testdir(), 'out');
    const twice = ['--listen-addr', '127.0.0.1:0', '--listen-addr', '127.0.0.1:0', '--merge'];
    const server = start(t, 'server', ['--path', file, ...twice, ...args]);
    for (const nth of [0, 1]) await udpSend(await server.port(nth), sent);
    await until('the file has it', () => statSync(file).size >= 2 * sent.join('').length);
    t.equal(await server.stop(), 0);
    return server.stderr.split(advice).length - 1;
  };
  t.equal(await told(['gauge:1|g', 'gauge:2|g']), 1);
  t.equal(await told(['a line\n', 'two\nlines\n', '']), 0);
  t.equal(await told(['gauge:1|g'], '--frame', 'line'), 0);
  t.equal(await told(['\0'], '--frame', 'raw'), 0);
});

t.test('a datagram is in the file within 50 ms', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0']);
  const port = await server.port();
  let sent = 0;
  await mostlyWithin(t, 50, async () => {
    await udpSend(port, ['x']);
    sent++;
    await until('it is in the file', () => readFileSync(file).length === sent);
  });
  t.equal(await server.stop(), 0);
});

t.test('a signal writes out what the kernel still holds', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0']);
  const port = await server.port();
  // A stopped process reads nothing: all of it is in the kernel when the signal comes.
  server.child.kill('SIGSTOP');
  const sent = Array.from({ length: 300 }, (_, i) => `datagram ${i}\n`);
  await udpSend(port, sent);
  server.child.kill('SIGTERM');
  server.child.kill('SIGCONT');
  t.equal(await server.exited, 0);
  t.equal(readFileSync(file, 'utf8'), sent.join(''));
});

t.test('a file for each listener is named by HOST:PORT, interface and source alone', async (t) => {
  const [port, other] = [await freeUdpPort(), await freeUdpPort()];
  const file = join(t.testdir(), 'out');
  const group = `239.77.1.2:${port}`;
  const server = start(t, 'server', [
    ...['--path', file, '--listen-addr', `${group},rcvbuf=1MiB,interface=lo,frame=lines,source=127.0.0.1`],
    ...['--listen-addr', `127.0.0.1:${other},rcvbuf=1MiB`],
  ]);
  await server.port(1);
  const made = [`out.${group},interface=lo,source=127.0.0.1`, `out.127.0.0.1:${other}`];
  t.strictSame(readdirSync(dirname(file)).sort(), made.sort());
  t.equal(await server.stop(), 0);
  const twice = ['--listen-addr', `127.0.0.1:${other}`, '--listen-addr', `127.0.0.1:${other},rcvbuf=1MiB`];
  const said = await fails(t, 'server', ['--path', file, ...twice], 2, `127.0.0.1:${other},rcvbuf=1MiB`);
  t.match(said, 'given twice, for one and the same file');
});
