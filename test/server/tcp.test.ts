import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { noIpv6 } from '../net/engines.js';
import { start } from '../support/command.js';
import { freeTcpPort, tcpClient, udpSend } from '../support/net.js';
import { until } from '../support/wait.js';

t.test('lines of two TCP senders and of UDP never mix in one file', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = start(t, 'server', [
    ...['--path', file, '--merge', '--listen-addr', 'tcp://127.0.0.1:0', '--listen-addr', '127.0.0.1:0'],
  ]);
  const tcp = await server.port(0);
  const udp = await server.port(1);
  const [one, two] = [await tcpClient(t, tcp), await tcpClient(t, tcp)];
  const has = (text: string) => until(text, () => readFileSync(file, 'utf8').endsWith(text));
  one.socket.write('one: whole\none: be');
  await has('one: whole\n');
  two.socket.write('two: whole\ntwo: be');
  await has('two: whole\n');
  await udpSend(udp, ['datagram\n']);
  await has('datagram\n');
  one.socket.end('gun\n');
  await has('one: begun\n');
  two.socket.destroy();
  await has('two: be\n');
  t.equal(readFileSync(file, 'utf8'), 'one: whole\ntwo: whole\ndatagram\none: begun\ntwo: be\n');
  t.equal(await server.stop(), 0, server.stderr);
  t.match(server.stderr, /1 line cut short by a disconnect/);
});

t.test('a long line stays one line, also with --frame line', async (t) => {
  const line = `${'x'.repeat(300_000)}\n`;
  for (const frame of ['lines', 'line']) {
    const file = join(t.testdir(), frame);
    const server = start(t, 'server', [
      '--path',
      file,
      '--frame',
      frame,
      '--listen-addr',
      'tcp://127.0.0.1:0',
    ]);
    (await tcpClient(t, await server.port())).socket.end(line);
    await until('all of it', () => readFileSync(file).length >= line.length);
    t.equal(await server.stop(), 0, server.stderr);
    t.ok(readFileSync(file, 'utf8') === line, frame);
  }
});

t.test('a sender is refused that --allow does not name, or that is one too many', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = start(t, 'server', [
    ...['--path', file, '--listen-addr', 'tcp://127.0.0.1:0', '--allow', '127.0.0.1', '--max-senders', '1'],
  ]);
  const port = await server.port();
  const first = await tcpClient(t, port);
  first.socket.write('first\n');
  await until('the line', () => readFileSync(file, 'utf8') === 'first\n');
  const second = await tcpClient(t, port);
  await until('it is closed', () => second.socket.readableEnded);
  await server.says(/127\.0\.0\.1 refused: there are 1 already \(--max-senders\)/);
  const other = start(t, 'server', [
    '--path',
    '-',
    '--listen-addr',
    'tcp://127.0.0.1:0',
    '--allow',
    '10.0.0.0/8',
  ]);
  const refused = await tcpClient(t, await other.port());
  await until('it is closed', () => refused.socket.readableEnded);
  await other.says('--allow does not name it');
});

t.test('several listeners write a file each, named without the scheme', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = start(t, 'server', [
    ...['--path', file, '--listen-addr', 'TCP://127.0.0.1:0', '--listen-addr', '127.0.0.2:0'],
  ]);
  (await tcpClient(t, await server.port(0))).socket.end('by tcp\n');
  await until('its file', () => readFileSync(`${file}.127.0.0.1:0`, 'utf8') === 'by tcp\n');
  t.equal(readFileSync(`${file}.127.0.0.2:0`, 'utf8'), '');
});

t.test(
  'flags of streams need a stream, and a TLS listener its certificate, before a file is made',
  async (t) => {
    const file = join(t.testdir(), 'out');
    for (const [args, error] of [
      [
        ['--listen-addr', '127.0.0.1:0', '--flush-after', '1s'],
        '--flush-after: no stream is split into datagrams',
      ],
      [['--listen-addr', 'tls://127.0.0.1:0'], '--tls-cert: missing'],
    ] as const) {
      const server = start(t, 'server', ['--path', file, ...args]);
      t.equal(await server.exited, 2, args.join(' '));
      t.match(server.stderr, error);
      t.notOk(existsSync(file));
    }
  },
);

t.test(
  'of 500 senders every line arrives whole, cut ones with a newline, and an idle one is disconnected',
  async (t) => {
    const file = join(t.testdir(), 'out');
    const args = ['--path', file, '--listen-addr', 'tcp://127.0.0.1:0', '--sender-timeout', '3s'];
    const server = start(t, 'server', args);
    const port = await server.port();
    const idle = await tcpClient(t, port);
    const senders = await Promise.all(Array.from({ length: 500 }, () => tcpClient(t, port)));
    for (const [i, { socket }] of senders.entries()) socket.write(`${i} whole\n${i} be`);
    for (const [i, { socket }] of senders.entries()) socket.end(i % 2 === 0 ? 'gun\n' : '');
    const lines = () => readFileSync(file, 'utf8').split('\n').slice(0, -1);
    await until('1,000 lines', () => lines().length === 1000);
    const expected = senders.flatMap((_, i) => [`${i} whole`, i % 2 === 0 ? `${i} begun` : `${i} be`]);
    t.strictSame(lines().toSorted(), expected.toSorted());
    await until('the idle one is disconnected', () => idle.socket.readableEnded || idle.closed);
    t.equal(await server.stop(), 0, server.stderr);
    t.match(server.stderr, /250 lines cut short by a disconnect/);
  },
);

t.test('UDP on [::] takes IPv4 beside TCP on 0.0.0.0 of the same port', { skip: noIpv6 }, async (t) => {
  const file = join(t.testdir(), 'out');
  const port = await freeTcpPort();
  const listens = ['--listen-addr', `tcp://0.0.0.0:${port}`, '--listen-addr', `[::]:${port}`];
  const server = start(t, 'server', ['--path', file, '--merge', ...listens]);
  await server.port(1);
  await udpSend(port, ['by IPv4\n']);
  await until('the line', () => readFileSync(file, 'utf8') === 'by IPv4\n');
  t.equal(await server.stop(), 0, server.stderr);
});
