import t from 'tap';
import { noIpv6 } from '../net/engines.js';
import { start } from '../support/command.js';
import { groupSend, groupSink, loopbackGroup, settled } from '../support/group.js';
import { freeTcpPort, inParts, type TcpClient, tcpClient, udpSend, udpSink } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';

t.test('senders by TCP are framed each on its own, and reach clients and UDP outputs', async (t) => {
  const group = await loopbackGroup();
  const member = await groupSink(t, group);
  const output = await udpSink(t);
  const reverse = start(t, 'reverse', [
    ...['--tcp-listen-addr', '127.0.0.1:0', '--multicast-addr', group.address],
    ...['--tcp-output-addr', '127.0.0.1:0', '--udp-output-addr', `127.0.0.1:${output.port}`],
  ]);
  await reverse.says('sending: group');
  // The group, the outputs and then the inputs are opened; which port is whose is told by the order.
  const client = await tcpClient(t, await reverse.port(0));
  await reverse.says('client: ');
  const one = await tcpClient(t, await reverse.port(2));
  const two = await tcpClient(t, await reverse.port(2));
  one.socket.write('one: whole\none: be');
  await member.has(11);
  two.socket.write('two: whole\ntwo: be');
  await member.has(22);
  one.socket.write('gun\n');
  await member.has(33);
  two.socket.end('gun');
  await member.has(44);
  const expected = ['one: whole\n', 'two: whole\n', 'one: begun\n', 'two: begun\n'];
  t.equal(String(await client.has(44)), expected.join(''));
  await output.has(44);
  t.equal(await reverse.stop(), 0);
  t.same((await settled(output)).map(String), expected);
  t.same((await settled(member, group)).map(String), expected, 'the unfinished line got a newline');
  t.match(reverse.stderr, /lost in all: .*1 line cut short by a disconnect/);
});

t.test('datagrams go into the group and out of it as they were', async (t) => {
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  const group = await loopbackGroup();
  const member = await groupSink(t, group);
  const outputs = [await udpSink(t), await udpSink(t)];
  const reverse = start(t, 'reverse', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--multicast-addr', group.address],
    ...outputs.flatMap(({ port }) => ['--udp-output-addr', `127.0.0.1:${port}`]),
  ]);
  const odd = ['', 'a', '\n', 'two\nlines\n', Buffer.alloc(60_000, 'x')].map((one) => Buffer.from(one));
  const sent = [...odd, ...Array.from({ length: 300 }, () => random.bytes(random.integer(0, 1500)))];
  const port = await reverse.port(1);
  await inParts(
    sent,
    (part) => udpSend(port, part),
    (count) => [member, ...outputs].every((sink) => sink.datagrams.length >= count),
  );
  t.equal(await reverse.stop(), 0);
  for (const output of outputs) t.same(await settled(output), sent);
  t.same(await settled(member, group), sent);
});

/** How a command names this client. */
function localName({ socket }: TcpClient): string {
  const { localAddress = '', localPort } = socket;
  return `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`;
}

t.test('what others send to the group reaches the clients too', async (t) => {
  const group = await loopbackGroup();
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0,frame=line'],
    ...['--tcp-output-addr', '127.0.0.1:0', '--tcp-output-addr', '[::1]:0'],
  ]);
  const clients = [
    await tcpClient(t, await reverse.port(0)),
    await tcpClient(t, await reverse.port(1)),
    await tcpClient(t, await reverse.port(2), '::1'),
  ] as const;
  for (const client of clients) await reverse.says(`client: ${localName(client)} connected`);
  await groupSend(group, ['bare', 'ended\n', '', 'last']);
  t.equal(String(await clients[0].has(16)), 'bare\nended\nlast\n', 'line ends every datagram');
  t.equal(String(await clients[1].has(14)), 'bareended\nlast');
  t.equal(String(await clients[2].has(14)), 'bareended\nlast');
});

t.test('two hundred clients all get the same bytes', async (t) => {
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  const group = await loopbackGroup();
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0', '--stats', '0.1'],
  ]);
  const port = await reverse.port();
  const clients = await Promise.all(Array.from({ length: 200 }, () => tcpClient(t, port)));
  await reverse.says('200 clients now 200 ever');
  const sent = Array.from({ length: 400 }, () => random.bytes(random.integer(1, 1000)));
  await inParts(
    sent,
    (part) => groupSend(group, part),
    (_, length) => clients.every((client) => client.length >= length),
  );
  const bytes = Buffer.concat(sent);
  t.ok(
    clients.every((client) => client.bytes.equals(bytes)),
    'each of them',
  );
  t.equal(await reverse.stop(), 0);
  await until('all are closed', () => clients.every(({ socket }) => socket.readableEnded));
  t.notMatch(reverse.stderr, 'lost:');
});

t.test('the tee has what the listeners took in; without any, what the group delivers', async (t) => {
  const group = await loopbackGroup();
  const into = start(t, 'reverse', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--tcp-listen-addr', '127.0.0.1:0'],
    ...['--multicast-addr', group.address, '--tee'],
  ]);
  const outOf = start(t, 'reverse', ['--multicast-addr', group.address, '--tee']);
  await outOf.port();
  await until('two listeners', async () => (await into.port(1)) > 0);
  await groupSend(group, ['others\n']);
  await until('what others sent', () => String(outOf.stdout) === 'others\n');
  const sender = await tcpClient(t, await into.port(0));
  sender.socket.write('by TCP\n');
  await until('a line in the tee', () => String(into.stdout) === 'by TCP\n');
  await udpSend(await into.port(1), ['by UDP\n']);
  await until('a datagram in the tee', () => String(into.stdout) === 'by TCP\nby UDP\n');
  await until('both in the group', () => String(outOf.stdout) === 'others\nby TCP\nby UDP\n');
  t.equal(await into.stop(), 0);
  t.equal(await outOf.stop(), 0);
  t.equal(String(into.stdout), 'by TCP\nby UDP\n');
});

t.test('with inputs and outputs the tee has its input once', async (t) => {
  const group = await loopbackGroup();
  const output = await udpSink(t);
  const reverse = start(t, 'reverse', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--multicast-addr', group.address, '--tee'],
    ...['--udp-output-addr', `127.0.0.1:${output.port}`],
  ]);
  await udpSend(await reverse.port(1), ['once\n']);
  await groupSend(group, ['others\n']);
  await output.has(12);
  t.equal(await reverse.stop(), 0);
  t.equal(String(reverse.stdout), 'once\n');
});

t.test('what makes no sense is refused', async (t) => {
  const { port } = await loopbackGroup();
  const output = ['--tcp-output-addr', '127.0.0.1:0'];
  const group = `239.77.0.1:${port},interface=lo`;
  const cases: [number, RegExp, string[]][] = [
    [
      1,
      /--multicast-addr: 127.0.0.1:9: not a multicast group/,
      ['--multicast-addr', '127.0.0.1:9', ...output],
    ],
    [2, /loop/, ['--multicast-addr', `${group},loop=no`, '--udp-listen-addr', '127.0.0.1:0', ...output]],
    [2, /loop: /, ['--multicast-addr', group, '--udp-listen-addr', group]],
    [2, /loop: /, ['--multicast-addr', group, '--udp-output-addr', group]],
    [2, /loop: /, ['--multicast-addr', group, '--udp-listen-addr', `0.0.0.0:${port}`]],
    [2, /no source and no sink/, ['--multicast-addr', group]],
    [2, /port 0/, ['--multicast-addr', '239.77.0.1:0,interface=lo', ...output]],
    [1, /no interface nosuch0/, ['--multicast-addr', '239.77.0.1:9,interface=nosuch0', ...output]],
    [2, /--client-buffer/, ['--multicast-addr', group, '--client-buffer', '1000', ...output]],
    [2, /--allow/, ['--multicast-addr', group, '--allow', '127.0.0.1/33', ...output]],
    [2, /--max-clients/, ['--multicast-addr', group, '--max-clients', '-1', ...output]],
  ];
  for (const [status, said, args] of cases) {
    const reverse = start(t, 'reverse', args);
    t.equal(await reverse.exited, status, args.join(' '));
    t.match(reverse.stderr, said);
  }
});

t.test('senders on 0.0.0.0 and clients on [::] can share a port', { skip: noIpv6 }, async (t) => {
  const group = await loopbackGroup();
  const port = await freeTcpPort();
  const reverse = start(t, 'reverse', [
    ...['--tcp-listen-addr', `0.0.0.0:${port}`, '--tcp-output-addr', `[::]:${port}`],
    ...['--multicast-addr', group.address],
  ]);
  await reverse.says(`listening: tcp 0.0.0.0:${port}`);
  const client = await tcpClient(t, port, '::1');
  await reverse.says('client: ');
  (await tcpClient(t, port, '127.0.0.1')).socket.end('line\n');
  t.equal(String(await client.has(5)), 'line\n');
});
