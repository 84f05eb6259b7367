import type { Socket } from 'node:net';
import t from 'tap';
import { start } from '../support/command.js';
import { freeTcpPort, tcpServer, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

/** The delays that a command said it waits before it tries again, in milliseconds. */
function delays(stderr: string): number[] {
  const said = stderr.matchAll(/trying again in ([\d.]+) (ms|s)$/gm);
  return [...said].map(([, amount, unit]) => Number(amount) * (unit === 's' ? 1000 : 1));
}

t.test('every upstream is framed on its own', async (t) => {
  const sockets: Socket[] = [];
  const servers = [await tcpServer(t, (s) => sockets.push(s)), await tcpServer(t, (s) => sockets.push(s))];
  const sink = await udpSink(t);
  start(t, 'forward', [
    ...servers.flatMap(({ port }) => ['--tcp-connect-addr', `127.0.0.1:${port}`]),
    ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  await until('two connections', () => sockets.length === 2);
  const [one, two] = sockets as [Socket, Socket];
  one.write('one: whole\none: be');
  await sink.has(11);
  two.write('two: whole\ntwo: be');
  await sink.has(22);
  one.write('gun\n');
  await sink.has(33);
  two.write('gun\n');
  await sink.has(44);
  t.same(sink.datagrams.map(String), ['one: whole\n', 'two: whole\n', 'one: begun\n', 'two: begun\n']);
});

t.test('the key frame says how one upstream is cut', async (t) => {
  const server = await tcpServer(t, (socket) => socket.write('a\nbc\ndef\n'));
  for (const [frame, expected] of [
    ['lines', ['a\nbc\n', 'def\n']],
    ['line', ['a\n', 'bc\n', 'def\n']],
    ['raw', ['a\nbc\nd', 'ef\n']],
  ] as const) {
    const sink = await udpSink(t);
    start(t, 'forward', [
      ...['--tcp-connect-addr', `127.0.0.1:${server.port},frame=${frame}`, '--payload', '6'],
      ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`],
    ]);
    await sink.has(9);
    t.same(sink.datagrams.map(String), expected, frame);
  }
});

t.test('an upstream that restarts is connected again, later and later', async (t) => {
  const first = await tcpServer(t, (socket) => socket.end('before\n'));
  const sink = await udpSink(t);
  const forward = start(t, 'forward', [
    ...['--tcp-connect-addr', `127.0.0.1:${first.port}`, '--udp-downstream-addr', `127.0.0.1:${sink.port}`],
    ...['--stats', '0.1'],
  ]);
  await forward.says(/upstream: .*: ended; trying again in/);
  await new Promise((resolve) => first.server.close(resolve));
  await forward.says(/connection refused; trying again in/);
  await tcpServer(t, (socket) => socket.write('after\n'), first.port);
  await until('a line of the new one', () => String(sink.datagrams.at(-1)) === 'after\n');
  t.match(String(sink.bytes), /^(before\n)+after\n$/);
  const waited = delays(forward.stderr);
  for (const [i, delay] of waited.slice(0, 3).entries()) {
    t.ok(delay <= 500 * 2 ** i && delay >= 400 * 2 ** i, `pause ${i + 1}: ${delay} ms`);
  }
  await forward.says(/1 connection now \d ever, \d reconnect/);
});

t.test('an upstream that hangs up after each 20 kB is connected again at once', async (t) => {
  const line = `${'x'.repeat(999)}\n`;
  let connects = 0;
  const upstream = await tcpServer(t, (socket) => {
    connects++;
    socket.end(line.repeat(20));
  });
  const sink = await udpSink(t);
  const forward = start(t, 'forward', [
    ...['--tcp-connect-addr', `127.0.0.1:${upstream.port}`],
    ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  await until('six connections', () => connects === 6);
  await sink.has(6 * 20_000);
  await forward.stop();
  const waited = delays(forward.stderr);
  t.equal(waited.length, 5, forward.stderr);
  for (const delay of waited) t.ok(delay >= 400 && delay <= 500, `${delay} ms`);
});

t.test('an upstream that is down at the start is waited for', async (t) => {
  const port = await freeTcpPort();
  const sink = await udpSink(t);
  const forward = start(t, 'forward', [
    ...['--tcp-connect-addr', `127.0.0.1:${port}`, '--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  await forward.says(`upstream: 127.0.0.1:${port}: connection refused; trying again in`);
  await tcpServer(t, (socket) => socket.write('up\n'), port);
  t.equal(String(await sink.has(3)), 'up\n');
  await forward.says(`upstream: 127.0.0.1:${port}: connected to 127.0.0.1:${port}`);
});

t.test('a name that does not resolve is said, tried again, and in nobody’s way', async (t) => {
  // A label of more than 63 letters (RFC 1035, 2.3.4) resolves nowhere, and no name server need be asked.
  const name = `${'x'.repeat(64)}.invalid:9`;
  const server = await tcpServer(t, (socket) => socket.write('fine\n'));
  const sink = await udpSink(t);
  const forward = start(t, 'forward', [
    ...['--tcp-connect-addr', name, '--tcp-connect-addr', `127.0.0.1:${server.port}`],
    ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  t.equal(String(await sink.has(5)), 'fine\n');
  await until('a second attempt', () => delays(forward.stderr).length >= 2);
  t.match(forward.stderr, `upstream: ${name}: `);
  t.equal(await forward.stop(), 0);
});

t.test('silence is failure with --idle-timeout', async (t) => {
  let connections = 0;
  const server = await tcpServer(t, (socket) => socket.write(`hello ${++connections}\n`));
  const sink = await udpSink(t);
  const forward = start(t, 'forward', [
    ...['--tcp-connect-addr', `127.0.0.1:${server.port}`, '--idle-timeout', '200ms'],
    ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  await sink.has('hello 1\nhello 2\n'.length);
  t.match(forward.stderr, /upstream: .*: silent for 200 ms; trying again in/);
});

t.test('an upstream that talks is not cut by --idle-timeout', async (t) => {
  const server = await tcpServer(t, (socket) => {
    let count = 0;
    const timer = setInterval(() => socket.write(`${count++}\n`), 50);
    socket.on('close', () => clearInterval(timer));
  });
  const sink = await udpSink(t);
  const forward = start(t, 'forward', [
    ...['--tcp-connect-addr', `127.0.0.1:${server.port}`, '--idle-timeout', '3s'],
    ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  await until('longer talk than that', () => String(sink.bytes).includes('80\n'));
  t.notMatch(forward.stderr, 'trying again');
});

t.test('the greeting is sent after every connect', async (t) => {
  const greetings: string[] = [];
  const server = await tcpServer(t, (socket) => {
    socket.once('data', (data) => {
      greetings.push(String(data));
      socket.end('thanks\n');
    });
  });
  const sink = await udpSink(t);
  start(t, 'forward', [
    ...['--tcp-connect-addr', `127.0.0.1:${server.port}`, '--greeting', 'user me\\r\\npass \\\\n\\n'],
    ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  await sink.has(14);
  t.same(greetings.slice(0, 2), ['user me\r\npass \\n\n', 'user me\r\npass \\n\n']);
  const wrong = start(t, 'forward', ['--tcp-connect-addr', '127.0.0.1:9', '--tee', '--greeting', '\\q']);
  t.equal(await wrong.exited, 2);
  t.match(wrong.stderr, /--greeting: .*unknown escape/);
});

t.test('the greeting can be given as a file, whose bytes are sent as they are', async (t) => {
  const dir = t.testdir({ greeting: 'user \\n\npass\r\n' });
  const greetings: string[] = [];
  const server = await tcpServer(t, (socket) => socket.on('data', (data) => greetings.push(String(data))));
  const upstream = ['--tcp-connect-addr', `127.0.0.1:${server.port}`, '--tee'];
  const file = ['--greeting-file', `${dir}/greeting`];
  const forward = start(t, 'forward', [...upstream, ...file]);
  await until('it came', () => greetings.join('') === 'user \\n\npass\r\n');
  t.equal(await forward.stop(), 0);
  const missing = start(t, 'forward', [...upstream, '--greeting-file', `${dir}/missing`]);
  t.equal(await missing.exited, 1);
  t.match(missing.stderr, `--greeting-file: ${dir}/missing: no such file or directory`);
  const both = start(t, 'forward', [...upstream, ...file, '--greeting', 'x']);
  t.equal(await both.exited, 2);
  t.match(both.stderr, '--greeting is given, too');
});
