import t from 'tap';
import { start } from '../support/command.js';
import { settled } from '../support/group.js';
import { freeUdpPort, inParts, tcpServer, udpSend, udpSink } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';

t.test('every datagram goes to every downstream once, its boundaries kept', async (t) => {
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  const sinks = await Promise.all([udpSink(t), udpSink(t), udpSink(t, '127.0.0.2')]);
  const downstreams = sinks.flatMap((sink) => {
    const { address, port } = sink.socket.address();
    return ['--udp-downstream-addr', `${address}:${port}`];
  });
  const forward = start(t, 'forward', ['--udp-listen-addr', '127.0.0.1:0', ...downstreams]);
  const odd = ['', 'a', '\n', 'no newline', 'two\nlines\n', '\n\n', Buffer.alloc(65_507, 'x')].map((one) =>
    Buffer.from(one),
  );
  const sent = [...odd, ...Array.from({ length: 300 }, () => random.bytes(random.integer(0, 1500)))];
  const port = await forward.port();
  await inParts(
    sent,
    (part) => udpSend(port, part),
    (count) => sinks.every((sink) => sink.datagrams.length >= count),
  );
  t.equal(await forward.stop(), 0);
  for (const sink of sinks) t.same(await settled(sink), sent);
});

t.test('several UDP listeners all feed the downstream', async (t) => {
  const sink = await udpSink(t);
  const listens = ['127.0.0.1:0', '127.0.0.2:0', '[::1]:0'];
  const forward = start(t, 'forward', [
    ...listens.flatMap((address) => ['--udp-listen-addr', address]),
    ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  await udpSend(await forward.port(0), ['first']);
  await udpSend(await forward.port(1), ['second'], '127.0.0.2');
  await udpSend(await forward.port(2), ['third'], '::1');
  await until('three datagrams', () => sink.datagrams.length === 3);
  t.same(sink.datagrams.map(String).sort(), ['first', 'second', 'third']);
});

t.test('a downstream that refuses is counted, and costs the others nothing', async (t) => {
  const sink = await udpSink(t);
  const forward = start(t, 'forward', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', `127.0.0.1:${await freeUdpPort()}`],
    ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  const sent = Array.from({ length: 100 }, (_, i) => `datagram ${i}`);
  await udpSend(await forward.port(), sent);
  await until('all of them', () => sink.datagrams.length === 100);
  t.equal(await forward.stop(), 0);
  t.same((await settled(sink)).map(String), sent);
  t.match(forward.stderr, /lost in all: .*connection refused/);
});

t.test('the tee writes every datagram and every piece of an upstream, as the frame says', async (t) => {
  const upstream = await tcpServer(t, (socket) => socket.write('from tcp\n'));
  for (const frame of ['lines', 'line'] as const) {
    const forward = start(t, 'forward', [
      ...['--udp-listen-addr', '127.0.0.1:0', '--tcp-connect-addr', `127.0.0.1:${upstream.port}`],
      ...['--tee', '--frame', frame],
    ]);
    const port = await forward.port();
    await until('what TCP brought', () => String(forward.stdout) === 'from tcp\n');
    await udpSend(port, ['x', 'y\n', '', 'z']);
    const expected = frame === 'line' ? 'from tcp\nx\ny\nz\n' : 'from tcp\nxy\nz';
    await until('what UDP brought', () => forward.stdout.length >= expected.length);
    t.equal(await forward.stop(), 0);
    t.equal(String(forward.stdout), expected, frame);
    t.match(forward.stderr, 'listening', 'notices go to stderr');
  }
});

t.test('what makes no sense is refused', async (t) => {
  const cases: [string, string[]][] = [
    ['--udp-listen-addr: missing', ['--udp-downstream-addr', '127.0.0.1:9']],
    ['--udp-downstream-addr: missing', ['--udp-listen-addr', '127.0.0.1:0']],
    ['loop', ['--udp-listen-addr', '127.0.0.1:9920', '--udp-downstream-addr', '127.0.0.1:9920']],
    ['loop', ['--udp-listen-addr', '0.0.0.0:9920', '--udp-downstream-addr', '127.0.0.1:9920']],
    ['port 0', ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', '127.0.0.1:0']],
    ['--frobnicate', ['--frobnicate']],
  ];
  for (const [said, args] of cases) {
    const forward = start(t, 'forward', args);
    t.equal(await forward.exited, 2, args.join(' '));
    t.match(forward.stderr, said);
    t.match(forward.stderr, /^mproxy-forward: [^\n]+\n$/, 'in one line');
  }
});
