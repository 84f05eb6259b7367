import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { start } from '../support/command.js';
import { lan, noNamespaces } from '../support/namespace.js';
import { freeUdpPort, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

t.test('a client whose destination refuses counts it, and ends with 0', async (t) => {
  const port = await freeUdpPort();
  const to = `127.0.0.1:${port}`;
  const client = start(t, 'client', ['--path', '-', '--server-addr', to, '--stats', '0.1']);
  client.child.stdin!.write('one\n');
  await client.says('1 datagram 4 B -> ');
  // The refusal of one datagram is reported by the next, also on the node engine.
  client.child.stdin!.end('two\n');
  t.equal(await client.exited, 0);
  const times = process.env.ENGINE === 'node' ? '(1 time|2 times)' : '2 times';
  t.match(client.stderr, new RegExp(`\nmproxy-client: lost in all: ${to}: connection refused, ${times}\n`));
});

t.test('the datagram whose send told of a refusal is sent again', async (t) => {
  const port = await freeUdpPort();
  const client = start(t, 'client', ['--path', '-', '--server-addr', `127.0.0.1:${port}`, '--stats', '0.1']);
  client.child.stdin!.write('to nobody\n');
  await client.says('1 datagram 10 B -> ');
  const sink = await udpSink(t, '127.0.0.1', port);
  client.child.stdin!.write('to somebody\n');
  client.child.stdin!.end('and more\n');
  t.equal(await client.exited, 0);
  t.equal(String(await sink.has(21)), 'to somebody\nand more\n');
  t.match(client.stderr, /lost in all: .*connection refused, 1 time/);
});

t.test('a downstream that refuses takes nothing from the others', async (t) => {
  const [sink, port] = [await udpSink(t), await freeUdpPort()];
  const to = [port, sink.port].flatMap((port) => ['--udp-downstream-addr', `127.0.0.1:${port}`]);
  const forward = start(t, 'forward', ['--udp-listen-addr', '127.0.0.1:0', ...to]);
  const sent = Array.from({ length: 50 }, (_, i) => `datagram ${i}\n`);
  await udpSend(await forward.port(), sent);
  await until('all are there', () => sink.datagrams.length === sent.length);
  t.same(sink.datagrams.map(String), sent);
  t.equal(await forward.stop(), 0);
  t.match(forward.stderr, new RegExp(`lost in all: 127.0.0.1:${port}: connection refused`));
});

t.test('a relay counts a datagram that is too big for its downstream, and goes on', async (t) => {
  const sink = await udpSink(t);
  const to = ['--udp-downstream-addr', `127.0.0.1:${sink.port}`];
  const forward = start(t, 'forward', ['--udp-listen-addr', '[::1]:0', ...to]);
  // IPv6 carries 20 bytes more than IPv4 can.
  const largest = Buffer.alloc(65_507, 'x');
  await udpSend(await forward.port(), [Buffer.alloc(65_508), largest, 'after'], '::1');
  await until('two are there', () => sink.datagrams.length === 2);
  t.ok(sink.datagrams[0]!.equals(largest), 'the largest that IPv4 carries is passed on whole');
  t.equal(String(sink.datagrams[1]), 'after');
  t.equal(await forward.stop(), 0);
  t.match(forward.stderr, /lost in all: .*datagram too big, 1 time/);
});

t.test('an empty datagram is forwarded by a relay, and nothing to a stream', async (t) => {
  const sink = await udpSink(t);
  const to = ['--udp-downstream-addr', `127.0.0.1:${sink.port}`, '--tee', '--frame', 'line'];
  const forward = start(t, 'forward', ['--udp-listen-addr', '127.0.0.1:0', ...to]);
  const file = join(t.testdir(), 'out');
  const server = start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0', '--frame', 'line']);
  const sent = ['a', '', 'b', ''];
  await udpSend(await forward.port(), sent);
  await udpSend(await server.port(), sent);
  await until('all are there', () => sink.datagrams.length === sent.length);
  t.same(sink.datagrams.map(String), sent);
  t.equal(await forward.stop(), 0);
  t.equal(await server.stop(), 0);
  t.equal(String(forward.stdout), 'a\nb\n');
  t.equal(readFileSync(file, 'utf8'), 'a\nb\n');
});

t.test('a downstream that is unreachable is used when it can be', { skip: noNamespaces }, async (t) => {
  const [near, far] = lan(t, 2).hosts;
  const file = join(t.testdir(), 'out');
  const to = ['--udp-downstream-addr', '10.88.0.2:9801', '--stats', '0.1'];
  const forward = start(t, 'forward', ['--udp-listen-addr', '127.0.0.1:9800', ...to], {
    namespace: near!.name,
  });
  await forward.port();
  const send = async (data: string) => {
    const client = start(t, 'client', ['--path', '-', '--server-addr', '127.0.0.1:9800'], {
      namespace: near!.name,
    });
    client.child.stdin!.end(data);
    t.equal(await client.exited, 0);
  };
  await send('lost\n');
  await forward.says(/E(NET|HOST)UNREACH 1/);
  far!.ip('addr', 'add', '10.88.0.2/32', 'dev', 'eth0');
  near!.ip('route', 'add', '10.88.0.2/32', 'via', '10.77.0.2');
  const server = start(t, 'server', ['--path', file, '--listen-addr', '10.88.0.2:9801'], {
    namespace: far!.name,
  });
  await server.port();
  await until('what is sent arrives', async () => {
    await send('back\n');
    return readFileSync(file, 'utf8').length > 0;
  });
  t.match(readFileSync(file, 'utf8'), /^(back\n)+$/);
  t.equal(await forward.stop(), 0);
  t.match(forward.stderr, /lost in all: 10\.88\.0\.2:9801: (network|host) unreachable/);
});

t.test('a client that could not send everything ends with 1', { skip: noNamespaces }, async (t) => {
  const namespace = lan(t, 1).hosts[0]!.name;
  const client = start(t, 'client', ['--path', '-', '--server-addr', '10.88.0.2:9801'], { namespace });
  client.child.stdin!.end('lost\n');
  t.equal(await client.exited, 1);
  t.match(client.stderr, /\nmproxy-client: sending: 10\.88\.0\.2:9801: 1 datagrams? [^\n]*not sent[^\n]*\n$/);
});
