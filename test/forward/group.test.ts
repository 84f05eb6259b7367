import type { Socket } from 'node:net';
import t from 'tap';
import { start } from '../support/command.js';
import { groupSend, groupSink, loopbackGroup, settled } from '../support/group.js';
import { tcpServer, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

t.test('an upstream goes to the first group and to the downstreams, which get it once', async (t) => {
  const group = await loopbackGroup();
  const member = await groupSink(t, group);
  const sinks = [await udpSink(t), await udpSink(t)];
  const sockets: Socket[] = [];
  const servers = [await tcpServer(t, (s) => sockets.push(s)), await tcpServer(t, (s) => sockets.push(s))];
  const forward = start(t, 'forward', [
    ...['--udp-listen-addr', group.address],
    ...servers.flatMap(({ port }) => ['--tcp-connect-addr', `127.0.0.1:${port}`]),
    ...sinks.flatMap(({ port }) => ['--udp-downstream-addr', `127.0.0.1:${port}`]),
  ]);
  await forward.port();
  await until('two connections', () => sockets.length === 2);
  const lines = Array.from({ length: 50 }, (_, i) => `line ${i}\n`);
  for (const line of lines) for (const socket of sockets) socket.write(line);
  await member.has(2 * lines.join('').length);
  // What others in the group say goes to the downstreams as well.
  await groupSend(group, ['from another']);
  for (const sink of sinks) await until('that too', () => String(sink.bytes).includes('from another'));
  t.equal(await forward.stop(), 0);
  const expected = [...lines, ...lines].sort();
  for (const sink of sinks) {
    const text = Buffer.concat(await settled(sink)).toString();
    const ownLines = text.replace('from another', '').match(/.*\n/g);
    t.same(ownLines?.sort(), expected, 'a downstream has every line once');
    t.equal(text.split('from another').length, 2, 'and the other datagram once');
  }
  const inGroup = Buffer.concat(await settled(member, group)).toString();
  t.same(inGroup.replace('from another', '').match(/.*\n/g)?.sort(), expected, 'so has the group');
});

t.test('what comes by UDP is not sent to the group', async (t) => {
  const group = await loopbackGroup();
  const member = await groupSink(t, group);
  const sink = await udpSink(t);
  const server = await tcpServer(t, (socket) => socket.write('upstream\n'));
  const forward = start(t, 'forward', [
    ...['--udp-listen-addr', group.address, '--udp-listen-addr', '127.0.0.1:0'],
    ...['--tcp-connect-addr', `127.0.0.1:${server.port}`, '--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  await udpSend(await forward.port(1), ['datagram']);
  await sink.has('upstream\ndatagram'.length);
  await member.has('upstream\n'.length);
  t.equal(await forward.stop(), 0);
  t.same((await settled(member, group)).map(String), ['upstream\n']);
});

t.test('a group that is not the first is not sent to', async (t) => {
  const group = await loopbackGroup();
  const member = await groupSink(t, group);
  const sink = await udpSink(t);
  const server = await tcpServer(t, (socket) => socket.write('upstream\n'));
  const forward = start(t, 'forward', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--udp-listen-addr', group.address],
    ...['--tcp-connect-addr', `127.0.0.1:${server.port}`, '--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  await sink.has(9);
  t.equal(await forward.stop(), 0);
  t.same(await settled(member, group), []);
});

t.test('the group alone is enough of a sink', async (t) => {
  const group = await loopbackGroup();
  const member = await groupSink(t, group);
  const server = await tcpServer(t, (socket) => socket.end('upstream\n'));
  const forward = start(t, 'forward', [
    ...['--udp-listen-addr', group.address, '--tcp-connect-addr', `127.0.0.1:${server.port}`, '--once'],
  ]);
  t.equal(await forward.exited, 0);
  t.same((await settled(member, group)).map(String), ['upstream\n']);
});

t.test('a second listener that would hear the own group is refused', async (t) => {
  const group = await loopbackGroup();
  for (const second of [`0.0.0.0:${group.port}`, group.address]) {
    const forward = start(t, 'forward', [
      ...['--udp-listen-addr', group.address, '--udp-listen-addr', second],
      ...['--tcp-connect-addr', '127.0.0.1:9', '--tee'],
    ]);
    t.equal(await forward.exited, 2);
    t.match(forward.stderr, 'loop: ');
  }
});

t.test('a downstream group that is also listened to is refused', async (t) => {
  const group = await loopbackGroup();
  for (const listen of [group.address, `0.0.0.0:${group.port}`]) {
    const forward = start(t, 'forward', [
      ...['--udp-listen-addr', listen, '--udp-downstream-addr', group.address],
    ]);
    t.equal(await forward.exited, 2);
    t.match(forward.stderr, 'loop: ');
  }
});
