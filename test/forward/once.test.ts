import type { Socket } from 'node:net';
import t from 'tap';
import { start } from '../support/command.js';
import { settled } from '../support/group.js';
import { freeTcpPort, tcpServer, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

t.test('--once ends with 0 when every upstream ended, and all of them was sent', async (t) => {
  const block = Buffer.from(Array.from({ length: 10_000 }, (_, i) => `line ${i}\n`).join(''));
  const servers = [
    await tcpServer(t, (socket) => socket.end('small\n')),
    await tcpServer(t, (socket) => socket.end(block)),
  ];
  const sink = await udpSink(t);
  const forward = start(t, 'forward', [
    ...servers.flatMap(({ port }) => ['--tcp-connect-addr', `127.0.0.1:${port}`]),
    ...['--once', '--udp-downstream-addr', `127.0.0.1:${sink.port}`, '--udp-listen-addr', '127.0.0.1:0'],
  ]);
  t.equal(await forward.exited, 0, 'a UDP listener does not keep it');
  const got = (await settled(sink)).filter((datagram) => String(datagram) !== 'small\n');
  t.equal(got.length, sink.datagrams.length - 2, 'the small one came once');
  t.ok(Buffer.concat(got).equals(block), 'the large one came whole');
});

t.test('--once ends with 1 when an upstream cannot be connected to, after the others ended', async (t) => {
  const server = await tcpServer(t, (socket) => socket.end('all\nof it\n'));
  const refused = await freeTcpPort();
  const forward = start(t, 'forward', [
    ...['--tcp-connect-addr', `127.0.0.1:${refused}`, '--tcp-connect-addr', `127.0.0.1:${server.port}`],
    ...['--once', '--tee'],
  ]);
  t.equal(await forward.exited, 1);
  t.equal(String(forward.stdout), 'all\nof it\n');
  t.match(forward.stderr, `mproxy-forward: upstream: 127.0.0.1:${refused}: connection refused`);
  t.notMatch(forward.stderr, 'trying again');
});

t.test('--once ends with 1 when an upstream resets the connection', async (t) => {
  const sockets: Socket[] = [];
  const server = await tcpServer(t, (socket) => {
    sockets.push(socket);
    socket.write('some\n');
  });
  const forward = start(t, 'forward', ['--tcp-connect-addr', `127.0.0.1:${server.port}`, '--once', '--tee']);
  // Not at once: libuv tells a reset that comes together with data as an end (uv__stream_io).
  await until('the data came', () => String(forward.stdout) === 'some\n');
  sockets[0]!.resetAndDestroy();
  t.equal(await forward.exited, 1);
  t.match(forward.stderr, /upstream: .*: connection reset/);
});

t.test('--once ends with 1 when an upstream falls silent', async (t) => {
  const server = await tcpServer(t, (socket) => socket.write('some\n'));
  const forward = start(t, 'forward', [
    ...['--tcp-connect-addr', `127.0.0.1:${server.port}`, '--once', '--tee', '--idle-timeout', '2s'],
  ]);
  t.equal(await forward.exited, 1);
  t.equal(String(forward.stdout), 'some\n');
});

t.test('--once without an upstream is an error of the command line', async (t) => {
  const forward = start(t, 'forward', ['--udp-listen-addr', '127.0.0.1:0', '--tee', '--once']);
  t.equal(await forward.exited, 2);
  t.match(forward.stderr, '--once');
});

t.test('--once ends with 0 when the program is asked to stop', async (t) => {
  const server = await tcpServer(t, (socket) => socket.write('some\n'));
  const forward = start(t, 'forward', ['--tcp-connect-addr', `127.0.0.1:${server.port}`, '--once', '--tee']);
  await forward.says('connected');
  t.equal(await forward.stop(), 0);
});
