import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { start } from '../support/command.js';
import { groupSink, loopbackGroup, settled } from '../support/group.js';
import { tcpServer, udpSink } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';

const UPSTREAMS = 4;
const LINES = 3000;

/** Writes lines in pieces that end anywhere, with pauses of their own, some of them long and inside a line. */
async function deliver(socket: Socket, lines: string[], random: Random): Promise<void> {
  socket.setNoDelay();
  const bytes = Buffer.from(lines.join(''));
  const longPauses = new Set([random.integer(10, 100), random.integer(101, 200)]);
  let piece = 0;
  for (let at = 0; at < bytes.length; piece++) {
    let end = Math.min(
      bytes.length,
      at + (random.next() < 0.3 ? random.integer(1, 20) : random.integer(1, 1500)),
    );
    const long = longPauses.has(piece) && end < bytes.length;
    if (long && bytes[end - 1] === 0x0a) end++;
    socket.write(bytes.subarray(at, end));
    at = end;
    await pause(long ? random.integer(1000, 1800) : random.integer(0, 6));
  }
}

t.test('lines that four upstreams deliver in pieces reach the group whole', async (t) => {
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  const group = await loopbackGroup();
  const member = await groupSink(t, group);
  const deliveries: Promise<void>[] = [];
  const sent: string[][] = [];
  const ports: number[] = [];
  for (let n = 0; n < UPSTREAMS; n++) {
    const lines = Array.from({ length: LINES }, (_, i) => `${n} ${i} ${'~'.repeat(random.integer(0, 90))}\n`);
    const own = new Random(random.integer(0, 2 ** 32 - 1));
    const server = await tcpServer(t, (socket) => deliveries.push(deliver(socket, lines, own)));
    sent.push(lines);
    ports.push(server.port);
  }
  const forward = start(t, 'forward', [
    ...['--udp-listen-addr', group.address],
    ...ports.flatMap((port) => ['--tcp-connect-addr', `127.0.0.1:${port}`]),
  ]);
  await until('all connected', () => deliveries.length === UPSTREAMS);
  await Promise.all(deliveries);
  await member.has(sent.flat().join('').length);
  t.equal(await forward.stop(), 0);
  const datagrams = (await settled(member, group)).map(String);
  t.same(
    datagrams.filter((datagram) => !datagram.endsWith('\n')),
    [],
    'every datagram ends with a line',
  );
  const got = datagrams.join('').match(/.*\n/g)!;
  t.equal(got.length, UPSTREAMS * LINES);
  for (const [n, lines] of sent.entries()) {
    const own = got.filter((line) => line.startsWith(`${n} `));
    t.equal(own.join('') === lines.join(''), true, `the lines of upstream ${n}, in order`);
  }
});

for (const how of ['ends', 'is reset'] as const) {
  t.test(`a line that ${how} midway does not touch the next upstream's`, async (t) => {
    const sockets: Socket[] = [];
    const dying = await tcpServer(t, (socket) => sockets.push(socket));
    const living = await tcpServer(t, (socket) => sockets.push(socket));
    const sink = await udpSink(t);
    const forward = start(t, 'forward', [
      ...['--tcp-connect-addr', `127.0.0.1:${dying.port}`, '--udp-downstream-addr', `127.0.0.1:${sink.port}`],
      ...['--tcp-connect-addr', `127.0.0.1:${living.port}`, '--stats', '0.1'],
    ]);
    await until('both connected', () => sockets.length === 2);
    const mortal = sockets.find(({ localPort }) => localPort === dying.port)!;
    const other = sockets.find((socket) => socket !== mortal)!;
    other.write('half of ');
    mortal.write('whole\nhalf and no m');
    await sink.has(6);
    if (how === 'ends') mortal.end();
    else mortal.resetAndDestroy();
    await sink.has('whole\nhalf and no m\n'.length);
    other.write('a line\n');
    await until('the other line', () => sink.datagrams.length === 3);
    await until('a new connection', () => sockets.length === 3);
    sockets[2]!.write('again\n');
    await until('a line of the new connection', () => sink.datagrams.length === 4);
    t.same(sink.datagrams.map(String), ['whole\n', 'half and no m\n', 'half of a line\n', 'again\n']);
    await forward.says('1 broken line');
    t.equal(await forward.stop(), 0);
    t.match(forward.stderr, /lost in all: .*1 line cut short by a disconnect/);
  });
}
