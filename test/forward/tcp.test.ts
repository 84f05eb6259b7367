import type { Socket } from 'node:net';
import t from 'tap';
import { start } from '../support/command.js';
import { tcpServer, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

t.test('datagrams and two upstreams go to a TCP destination by whole records', async (t) => {
  const chunks: Buffer[] = [];
  const to = await tcpServer(t, (socket) => socket.on('data', (chunk) => chunks.push(chunk)));
  const sockets: Socket[] = [];
  const upstreams = [await tcpServer(t, (s) => sockets.push(s)), await tcpServer(t, (s) => sockets.push(s))];
  const forward = start(t, 'forward', [
    ...upstreams.flatMap(({ port }) => ['--tcp-connect-addr', `127.0.0.1:${port}`]),
    ...['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', `tcp://127.0.0.1:${to.port}`],
  ]);
  const received = () => String(Buffer.concat(chunks));
  const has = (text: string) => until(text, () => received().endsWith(text));
  await until('both upstreams', () => sockets.length === 2);
  sockets[0]!.write('one: whole\none: be');
  await has('one: whole\n');
  sockets[1]!.write('two: whole\n');
  await has('two: whole\n');
  await udpSend(await forward.port(), ['datagram\n']);
  await has('datagram\n');
  sockets[0]!.write('gun\n');
  await has('one: begun\n');
  t.equal(received(), 'one: whole\ntwo: whole\ndatagram\none: begun\n');
  t.equal(await forward.stop(), 0, forward.stderr);
});

t.test('a TCP destination that does not read loses whole datagrams, and delays no other', async (t) => {
  const sockets: Socket[] = [];
  const stalled = await tcpServer(t, (socket) => sockets.push(socket.pause()));
  const udp = await udpSink(t);
  const forward = start(t, 'forward', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--client-buffer', '64KiB'],
    ...['--udp-downstream-addr', `tcp://127.0.0.1:${stalled.port}`],
    ...['--udp-downstream-addr', `127.0.0.1:${udp.port}`],
  ]);
  const port = await forward.port();
  await until('the connection', () => sockets.length === 1);
  // More than the buffers of both sockets and the queue hold.
  const total = 12_000;
  const datagram = (i: number) => `${String(i).padStart(7)}${'.'.repeat(992)}\n`;
  for (let at = 0; at < total; at += 50) {
    await udpSend(
      port,
      Array.from({ length: 50 }, (_, i) => datagram(at + i)),
    );
    await until('the other has them', () => udp.datagrams.length >= at + 50);
  }
  const chunks: Buffer[] = [];
  sockets[0]!.on('data', (chunk) => chunks.push(chunk));
  sockets[0]!.resume();
  // The first may find the queue still full.
  let ends = 0;
  await until('the end', async () => {
    await udpSend(port, ['the end\n']);
    ends++;
    return String(chunks.at(-1) ?? '').endsWith('the end\n');
  });
  t.equal(await forward.stop(), 0, forward.stderr);
  const lines = String(Buffer.concat(chunks)).split(/(?<=\n)/);
  const got = lines.filter((line) => line !== 'the end\n');
  t.ok(got.length < total, `${got.length} of ${total}`);
  t.ok(
    got.every((line) => line === datagram(Number(line.slice(0, 7)))),
    'all of them whole',
  );
  const dropped = [
    ...forward.stderr.matchAll(/dropped ([\d,]+) datagrams?: the connection did not keep up/g),
  ].at(-1)![1]!;
  t.equal(Number(dropped.replaceAll(',', '')) + lines.length, total + ends, 'the others are counted');
});
