import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { start } from '../support/command.js';
import { groupSink, loopbackGroup } from '../support/group.js';
import { tcpClient, tcpServer, udpSend, udpSink } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';

const RECORDS = 200;

interface Records {
  /** What each record is in a datagram: with its delimiter, or without its count. */
  datagrams: Buffer[];
  /** The same in a stream. */
  stream: Buffer;
}

/** Records of any bytes that their frame allows. */
function records(random: Random, frame: string): Records {
  const end = { nul: 0x00, cr: 0x0d }[frame];
  const datagrams = Array.from({ length: RECORDS }, () => {
    const bytes = random.bytes(random.integer(1, 300));
    if (end === undefined) return bytes;
    for (let i = 0; i < bytes.length; i++) if (bytes[i] === end) bytes[i] = 0x0a;
    return Buffer.concat([bytes, Buffer.of(end)]);
  });
  const counted = datagrams.flatMap((bytes) => [Buffer.from(`${bytes.length} `), bytes]);
  return { datagrams, stream: Buffer.concat(end === undefined ? counted : datagrams) };
}

/** Writes bytes in pieces that end anywhere. */
async function trickle(socket: Socket, bytes: Buffer, random: Random): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const next = at + random.integer(1, 700);
    socket.write(bytes.subarray(at, next));
    at = next;
    await nextTurn();
  }
}

for (const frame of ['nul', 'cr', 'octet-counted']) {
  /** Whether these datagrams are whole records, one or several each. */
  const whole = (got: Buffer[], { datagrams }: Records) => {
    if (!Buffer.concat(got).equals(Buffer.concat(datagrams))) return false;
    if (frame === 'octet-counted') return got.every((bytes, i) => bytes.equals(datagrams[i]!));
    return got.every((bytes) => bytes.at(-1) === datagrams[0]!.at(-1));
  };

  t.test(
    `${frame}: from an upstream by mproxy-forward into the file and the tee of mproxy-server`,
    async (t) => {
      const random = new Random();
      t.comment(`SEED=${random.seed}`);
      const sent = records(random, frame);
      const file = join(t.testdir(), 'out');
      const server = start(t, 'server', [
        ...['--path', file, '--tee', '--listen-addr', '127.0.0.1:0', '--frame', frame],
      ]);
      const sink = await udpSink(t);
      const upstream = await tcpServer(t, (socket) => void trickle(socket, sent.stream, random));
      const forward = start(t, 'forward', [
        ...['--tcp-connect-addr', `127.0.0.1:${upstream.port},frame=${frame}`],
        ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`],
        ...['--udp-downstream-addr', `127.0.0.1:${await server.port()}`, '--tee', '--frame', frame],
      ]);
      await sink.has(Buffer.concat(sent.datagrams).length);
      t.ok(whole(sink.datagrams, sent), 'whole records');
      await until('the file has all', () => readFileSync(file).length === sent.stream.length);
      t.equal(await server.stop(), 0);
      t.equal(await forward.stop(), 0);
      t.ok(readFileSync(file).equals(sent.stream), 'the file is the stream');
      t.ok(server.stdout.equals(sent.stream), 'and so is the tee of the server');
      t.ok(forward.stdout.equals(sent.stream), 'and of the forward');
    },
  );

  t.test(`${frame}: from a sender through the group of mproxy-reverse to a client`, async (t) => {
    const random = new Random();
    t.comment(`SEED=${random.seed}`);
    const sent = records(random, frame);
    const group = await loopbackGroup();
    const member = await groupSink(t, group);
    const reverse = start(t, 'reverse', [
      ...['--tcp-listen-addr', '127.0.0.1:0', '--multicast-addr', group.address],
      ...['--tcp-output-addr', '127.0.0.1:0', '--frame', frame, '--stats', '0.1'],
    ]);
    const client = await tcpClient(t, await reverse.port(0));
    await reverse.says('1 client now');
    const sender = connect(await reverse.port(2), '127.0.0.1');
    t.teardown(() => sender.destroy());
    await trickle(sender, sent.stream, random);
    t.ok((await client.has(sent.stream.length)).equals(sent.stream));
    await member.has(Buffer.concat(sent.datagrams).length);
    t.ok(whole(member.datagrams, sent));
    t.equal(await reverse.stop(), 0);
  });

  t.test(`${frame}: from the stdin of mproxy-client to the stdout of mproxy-server`, async (t) => {
    const random = new Random();
    t.comment(`SEED=${random.seed}`);
    const sent = records(random, frame);
    const server = start(t, 'server', ['--path', '-', '--listen-addr', '127.0.0.1:0', '--frame', frame]);
    const to = `127.0.0.1:${await server.port()}`;
    const client = start(t, 'client', [
      '--path',
      '-',
      '--server-addr',
      to,
      '--frame',
      frame,
      '--rate',
      '20Mbps',
    ]);
    client.child.stdin!.end(sent.stream);
    t.equal(await client.exited, 0, client.stderr);
    await until('all is there', () => server.stdout.length >= sent.stream.length);
    t.equal(await server.stop(), 0);
    t.ok(server.stdout.equals(sent.stream));
  });
}

t.test('a record that a disconnect cut is never merged with the next', async (t) => {
  for (const [frame, cut, rest, expected] of [
    ['nul', 'a\0b', 'c\0', 'a\0b\0c\0'],
    ['cr', 'a\rb', 'c\r', 'a\rb\rc\r'],
    ['octet-counted', '1 a9 b', '1 c', 'ac'],
  ] as const) {
    const sink = await udpSink(t);
    let connections = 0;
    const upstream = await tcpServer(t, (socket) => socket.end(connections++ === 0 ? cut : rest));
    const forward = start(t, 'forward', [
      ...['--tcp-connect-addr', `127.0.0.1:${upstream.port}`, '--frame', frame],
      ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`, '--stats', '0.1'],
    ]);
    t.equal(String(await sink.has(expected.length)), expected, frame);
    await forward.says(frame === 'octet-counted' ? /1 discarded message/ : /1 broken line/);
    await forward.stop();
    t.match(
      forward.stderr,
      frame === 'octet-counted' ? /lost in all: .*1 message discarded/ : /lost in all: .*1 line cut/,
    );
  }
});

t.test('what is not octet-counted ends the connection, with its place; the next one is read', async (t) => {
  const group = await loopbackGroup();
  const member = await groupSink(t, group);
  const reverse = start(t, 'reverse', [
    ...['--tcp-listen-addr', '127.0.0.1:0,frame=octet-counted', '--multicast-addr', group.address],
  ]);
  const port = await reverse.port();
  const bad = await tcpClient(t, port);
  bad.socket.write('3 abc<13>no count\n');
  await until('it is disconnected', () => bad.closed || bad.socket.readableEnded);
  await reverse.says(/sender: 127\.0\.0\.1:\d+ left .*: not octet-counted: 0x3c at byte 5 of the stream/);
  const good = await tcpClient(t, port);
  good.socket.write('3 def');
  t.equal(String(await member.has(6)), 'abcdef');
  t.equal(await reverse.stop(), 0);
});

t.test('a file that is not octet-counted, or ends inside a message, is an error', async (t) => {
  const sink = await udpSink(t);
  for (const [text, sent, why] of [
    ['1 a2 bcx', 'abc', /reading: -: not octet-counted: 0x78 at byte 7/],
    ['1 a5 bc', 'a', /1 message discarded: longer than 65,507 bytes, or cut short/],
  ] as const) {
    sink.datagrams = [];
    const to = ['--server-addr', `127.0.0.1:${sink.port}`, '--frame', 'octet-counted'];
    const client = start(t, 'client', ['--path', '-', ...to]);
    client.child.stdin!.end(text);
    t.equal(await client.exited, 1, client.stderr);
    t.match(client.stderr, why);
    t.equal(String(await sink.has(sent.length)), sent);
  }
});

t.test('a datagram that another program sent gets its count', async (t) => {
  const server = start(t, 'server', [
    '--path',
    '-',
    '--listen-addr',
    '127.0.0.1:0',
    '--frame',
    'octet-counted',
  ]);
  await udpSend(await server.port(), ['<13>one\n', '', '<13>two']);
  await until('both are there', () => server.stdout.length >= 19);
  t.equal(await server.stop(), 0);
  t.equal(String(server.stdout), '8 <13>one\n7 <13>two');
});
