import t, { type Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { tcpClient, tcpServer, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';
import { collect, peerOf } from './peer.js';
import { NatsServer, noServer } from './server.js';

const receive = (t: Test, url: string, ...flags: string[]): Running =>
  start(t, 'server', ['--path', '-', '--listen-addr', url, ...flags]);

t.test('the official client receives what a client publishes', { skip: noServer }, async (t) => {
  const server = await NatsServer.start(t);
  const got = await collect(await peerOf(t, server), 'a.b');
  const client = start(t, 'client', ['--path', '-', '--frame', 'line', '--server-addr', server.url('a.b')]);
  client.child.stdin!.end('one\ntwo\nthree');
  t.equal(await client.exited, 0, client.stderr);
  await until('all messages', () => got.length >= 3);
  t.strictSame(got, ['one\n', 'two\n', 'three']);
});

t.test(
  'a server writes what the official client publishes, wildcards and headers included',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    const peer = await peerOf(t, server);
    const { headers } = await import('@nats-io/transport-node');
    const ours = receive(t, server.url('a.*.>'));
    await ours.says('connected to');
    const fields = headers();
    fields.set('Name', 'value');
    peer.publish('a.b.c', 'one\n');
    peer.publish('a.b', 'not this\n');
    peer.publish('a.x.y.z', 'two\n', { headers: fields });
    peer.publish('a.x.y.z', 'three\n', { reply: 'in.box' });
    await until('all three', () => ours.stdout.toString() === 'one\ntwo\nthree\n');
    t.equal(await ours.stop(), 0, ours.stderr);
    t.notMatch(ours.stderr, /lost|interrupted/);
  },
);

t.test('each message goes to one member of a queue group', { skip: noServer }, async (t) => {
  const server = await NatsServer.start(t);
  const peer = await peerOf(t, server);
  const members = [1, 2].map(() => receive(t, `${server.url('a')},queue=group`));
  for (const member of members) await member.says('connected to');
  for (let i = 0; i < 100; i++) peer.publish('a', `${i}\n`);
  const lines = () => members.flatMap(({ stdout }) => String(stdout).split('\n').filter(Boolean));
  await until('all messages', () => lines().length >= 100);
  t.equal(new Set(lines()).size, 100);
  t.ok(members.every(({ stdout }) => stdout.length > 0));
});

t.test('8 MB through a server come unchanged, in order', { skip: noServer }, async (t) => {
  const server = await NatsServer.start(t);
  const ours = receive(t, server.url('a'));
  await ours.says('connected to');
  const client = start(t, 'client', ['--path', '-', '--server-addr', server.url('a')]);
  const input = Buffer.from(
    Array.from({ length: 100_000 }, (_, i) => `line ${i} ${'x'.repeat(i % 150)}\n`).join(''),
  );
  client.child.stdin!.end(input);
  t.equal(await client.exited, 0, client.stderr);
  await until('all bytes', () => ours.stdout.length >= input.length);
  t.ok(ours.stdout.equals(input));
});

t.test('forward between a subject and UDP, with boundaries kept', { skip: noServer }, async (t) => {
  const server = await NatsServer.start(t);
  const got = await collect(await peerOf(t, server), 'out');
  const forward = start(t, 'forward', [
    '--udp-listen-addr',
    '127.0.0.1:0',
    '--udp-downstream-addr',
    server.url('out'),
  ]);
  await forward.says('connected to');
  await udpSend(await forward.port(), ['one', 'two', 'x'.repeat(9000)]);
  await until('all three', () => got.length >= 3);
  t.strictSame(got, ['one', 'two', 'x'.repeat(9000)]);
});

t.test('a message larger than a datagram is split between lines for UDP', { skip: noServer }, async (t) => {
  const server = await NatsServer.start(t);
  const peer = await peerOf(t, server);
  const sink = await udpSink(t);
  const flags = ['--udp-listen-addr', server.url('a'), '--udp-downstream-addr', `127.0.0.1:${sink.port}`];
  const forward = start(t, 'forward', [...flags, '--stats', '1']);
  await forward.says('connected to');
  const lines = Array.from({ length: 2000 }, (_, i) => `line ${i} ${'y'.repeat(40)}\n`).join('');
  peer.publish('a', lines);
  t.equal(String(await sink.has(lines.length)), lines);
  t.ok(sink.datagrams.length > 1 && sink.datagrams.every((one) => one.at(-1) === 0x0a));
  await forward.says('1 split message');
  t.match(forward.stderr, /-> 127[^>]* 1 split message/, 'counted where it was split');
});

t.test('a subject is the group in the middle of a reverse', { skip: noServer }, async (t) => {
  const server = await NatsServer.start(t);
  const flags = ['--tcp-listen-addr', '127.0.0.1:0', '--tcp-output-addr', '127.0.0.1:0'];
  const reverse = start(t, 'reverse', [...flags, '--multicast-addr', server.url('group')]);
  await reverse.says(/receiving: .*connected to/);
  await reverse.says(/sending: .*connected to/);
  const ports = [await reverse.port(0), await reverse.port(1)];
  const clients = await Promise.all(ports.map((port) => tcpClient(t, port)));
  const got = () => clients.map(({ bytes }) => String(bytes)).join('');
  const elsewhere = await collect(await peerOf(t, server), 'group');
  await reverse.says(/client: .*connected/);
  // One of the two ports takes senders; what clients send is discarded.
  for (const { socket } of clients) socket.write('hello\n');
  await until('the line at the client, and at another receiver', () => got() !== '' && elsewhere.length > 0);
  t.strictSame([got(), elsewhere.join('')], ['hello\n', 'hello\n']);
});

t.test('data of TCP upstreams do not go to a subject that is listened on', { skip: noServer }, async (t) => {
  const server = await NatsServer.start(t);
  const peer = await peerOf(t, server);
  const onSubject = await collect(peer, 'in.>');
  const { port } = await tcpServer(t, (socket) => socket.end('from upstream\n'));
  const got = await collect(peer, 'out');
  const forward = start(t, 'forward', [
    // Of a wildcard nothing could be sent there.
    ...['--udp-listen-addr', server.url('in.*'), '--tcp-connect-addr', `127.0.0.1:${port}`],
    ...['--udp-downstream-addr', server.url('out')],
  ]);
  await until('it came by', () => got.includes('from upstream\n'));
  await forward.says(/receiving: .*connected to/);
  peer.publish('in.x', 'last\n');
  await until('what was published after it', () => got.includes('last\n') && onSubject.length > 0);
  t.strictSame(onSubject, ['last\n']);
});

t.test(
  'an output that feeds its input by another name of the server: ends with the error of the start',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    const output = `nats://localhost:${server.port}/loop.b`;
    const forward = start(t, 'forward', [
      '--udp-listen-addr',
      server.url('loop.>'),
      '--udp-downstream-addr',
      output,
    ]);
    t.equal(await forward.exited, 2, forward.stderr);
    t.ok(
      forward.stderr.endsWith(
        `loop: ${output}: what is sent there comes back in by ${server.url('loop.>')}; use another address or port\n`,
      ),
      forward.stderr,
    );
    t.notMatch(forward.stderr, /the others go on/);
    const other = start(t, 'forward', [
      '--udp-listen-addr',
      server.url('loop.a'),
      '--udp-downstream-addr',
      output,
    ]);
    await other.says(/receiving: .*connected to/);
    await other.says(/sending: .*connected to/);
    t.equal(await other.stop(), 0, other.stderr);
  },
);
