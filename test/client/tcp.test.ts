import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { freeTcpPort, tcpServer, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

const LINES = 200_000;
const text = Array.from({ length: LINES }, (_, i) => `line ${i}\n`).join('');

function input(t: Test): string {
  const file = join(t.testdir(), 'in');
  writeFileSync(file, text);
  return file;
}

/** A server that reads, and keeps what each connection brought. */
async function reader(t: Test, port = 0) {
  const connections: { socket: Socket; chunks: Buffer[]; ended: boolean }[] = [];
  const server = await tcpServer(
    t,
    (socket) => {
      const connection = { socket, chunks: [] as Buffer[], ended: false };
      connections.push(connection);
      socket.on('data', (chunk) => connection.chunks.push(chunk));
      socket.on('end', () => {
        connection.ended = true;
      });
    },
    port,
  );
  const bytes = (i: number) => Buffer.concat(connections[i]?.chunks ?? []);
  return { ...server, connections, bytes };
}

t.test('a file arrives byte for byte at TCP destinations, beside a UDP one', async (t) => {
  const [one, two] = [await reader(t), await reader(t)];
  const udp = await udpSink(t);
  const client = start(t, 'client', [
    ...['--path', input(t), '--server-addr', `127.0.0.1:${udp.port}`, '--rate', '60Mbps'],
    ...['--server-addr', `tcp://127.0.0.1:${one.port}`, '--server-addr', `tcp://127.0.0.1:${two.port}`],
  ]);
  t.equal(await client.exited, 0, client.stderr);
  await until('both ended', () => one.connections[0]!.ended && two.connections[0]!.ended);
  for (const { bytes } of [one, two]) t.ok(bytes(0).equals(Buffer.from(text)));
  await udp.has(text.length);
});

t.test('octet-counted is the frame of a TCP destination of its own', async (t) => {
  const to = await reader(t);
  const client = start(t, 'client', [
    ...['--path', '-', '--frame', 'line', '--server-addr', `tcp://127.0.0.1:${to.port},frame=octet-counted`],
  ]);
  client.child.stdin!.end('12 AB\n');
  t.equal(await client.exited, 0, client.stderr);
  await until('the end', () => to.connections[0]!.ended);
  t.equal(String(to.bytes(0)), '6 12 AB\n');
});

t.test(
  'after a broken connection every line goes on from its start, and a loss is reported as possible',
  async (t) => {
    const to = await reader(t);
    const client = start(t, 'client', [
      '--path',
      input(t),
      '--server-addr',
      `tcp://127.0.0.1:${to.port}`,
      '--rate',
      '20Mbps',
    ]);
    await until('it began', () => to.bytes(0).length > 100_000);
    to.connections[0]!.socket.resetAndDestroy();
    t.equal(await client.exited, 0, client.stderr);
    await until('the second ended', () => to.connections[1]?.ended === true);
    t.match(
      client.stderr,
      /connection reset.*; up to [\d.]+ [kM]?B that it took may be lost; trying again in/,
    );
    const second = String(to.bytes(1));
    t.match(second, /^line \d+\n/, 'from the start of a line');
    const [, first] = /^line (\d+)\n/.exec(second)!;
    t.ok(second.endsWith(`line ${LINES - 1}\n`), 'to the end');
    t.equal(second, text.slice(text.indexOf(`line ${first}\n`)), 'and nothing is missing in it');
  },
);

t.test('a destination that does not read holds the input back, and loses nothing', async (t) => {
  const sockets: Socket[] = [];
  const server = await tcpServer(t, (socket) => sockets.push(socket.pause()));
  const client = start(t, 'client', ['--path', '-', '--server-addr', `tcp://127.0.0.1:${server.port}`]);
  const chunk = Buffer.alloc(1024 * 1024, 'x'.repeat(63).concat('\n'));
  let accepted = 0;
  for (let i = 0; i < 64; i++) client.child.stdin!.write(chunk, () => accepted++);
  client.child.stdin!.end();
  await until('a connection', () => sockets.length === 1);
  await until('it is full', () => sockets[0]!.readableLength > 0);
  t.ok(accepted < 40, `${accepted} of 64 MiB were read`);
  let bytes = 0;
  sockets[0]!.on('data', (data) => {
    bytes += data.length;
  });
  sockets[0]!.resume();
  t.equal(await client.exited, 0, client.stderr);
  await until('all of it', () => bytes === 64 * chunk.length);
  t.equal(accepted, 64);
});

t.test('a destination that nobody has is tried again, and found', async (t) => {
  const port = await freeTcpPort();
  const client = start(t, 'client', ['--path', '-', '--server-addr', `tcp://127.0.0.1:${port}`]);
  client.child.stdin!.write('early\n');
  await client.says(/connection refused; trying again in/);
  const to = await reader(t, port);
  await until('the line', () => String(to.bytes(0)) === 'early\n');
  client.child.stdin!.end();
  t.equal(await client.exited, 0, client.stderr);
});

t.test('what cannot be sent within --linger after the end is a failure', async (t) => {
  const port = await freeTcpPort();
  const args = ['--path', '-', '--server-addr', `tcp://127.0.0.1:${port}`, '--linger', '200ms'];
  const client = start(t, 'client', args);
  client.child.stdin!.end('one\ntwo\n');
  t.equal(await client.exited, 1, client.stderr);
  t.match(client.stderr, /sending: tcp:\/\/127\.0\.0\.1:\d+: 1 datagram not sent/);
});

t.test('it stops within a second while a destination takes nothing', async (t) => {
  const to = `tcp://127.0.0.1:${await freeTcpPort()}`;
  const client = start(t, 'client', ['--path', '-', '--server-addr', to, '--stats', '0.1']);
  client.child.stdin!.write('one\n');
  await client.says(/stats: -: 1 datagram/);
  const at = performance.now();
  t.equal(await client.stop(), 0, client.stderr);
  t.ok(performance.now() - at < 3000);
  t.match(client.stderr, /lost in all: tcp:.*dropped 1 datagram: not connected: connection refused/);
});

/** A server whose connections are read slowly; what each brought is kept. */
async function slowReader(t: Test, each: (socket: Socket, n: number) => void) {
  const connections: { bytes: Buffer; error?: Error }[] = [];
  const server = await tcpServer(t, (socket) => {
    const connection: { bytes: Buffer; error?: Error } = { bytes: Buffer.alloc(0) };
    connections.push(connection);
    socket.on('error', (error) => {
      connection.error = error;
    });
    const timer = setInterval(() => {
      const chunk = socket.read(Math.min(65_536, socket.readableLength)) as Buffer | null;
      if (chunk) connection.bytes = Buffer.concat([connection.bytes, chunk]);
    }, 5);
    socket.on('close', () => clearInterval(timer));
    each(socket, connections.length);
  });
  return { ...server, connections };
}

t.test('a peer that ends its side while it is behind loses nothing of what it was given', async (t) => {
  const to = await slowReader(t, (socket, n) => {
    if (n === 1) setTimeout(() => socket.end(), 100);
  });
  // More than the buffers of both sockets hold.
  const count = 20_000;
  const line = (i: number) => `${String(i).padStart(7)}${'.'.repeat(992)}\n`;
  const file = join(t.testdir(), 'large');
  writeFileSync(file, Array.from({ length: count }, (_, i) => line(i)).join(''));
  const client = start(t, 'client', [
    '--path',
    file,
    '--server-addr',
    `tcp://127.0.0.1:${to.port}`,
    '--linger',
    '30s',
  ]);
  t.equal(await client.exited, 0, client.stderr);
  await until(
    'the last line',
    () => String(to.connections.at(-1)!.bytes.subarray(-1000)) === line(count - 1),
  );
  t.ok(to.connections.length > 1, `${to.connections.length} connections`);
  const lines = to.connections.flatMap(({ bytes }) => String(bytes).split(/(?<=\n)/));
  const got = new Set(lines.filter((one) => one.length === 1000).map((one) => Number(one.slice(0, 7))));
  const missing = Array.from({ length: count }, (_, i) => i).filter((one) => !got.has(one));
  t.strictSame(missing.slice(0, 5), [], `${missing.length} lines are missing`);
});

t.test('a peer that sends while it reads gets everything, to the end', async (t) => {
  const to = await slowReader(t, (socket) => {
    const chat = setInterval(() => socket.write('ok\n'), 2);
    socket.on('close', () => clearInterval(chat));
    socket.on('end', () => clearInterval(chat));
  });
  const client = start(t, 'client', [
    '--path',
    input(t),
    '--server-addr',
    `tcp://127.0.0.1:${to.port}`,
    '--linger',
    '20s',
  ]);
  t.equal(await client.exited, 0, client.stderr);
  await until('all of it', () => to.connections[0]!.bytes.length === text.length);
  t.equal(to.connections.length, 1);
});

t.test('a loss at a broken connection is reported with --quiet, too', async (t) => {
  const to = await reader(t);
  const args = ['--path', '-', '--quiet', '--server-addr', `tcp://127.0.0.1:${to.port}`];
  const client = start(t, 'client', args);
  client.child.stdin!.write('one\n');
  await until('the line', () => String(to.bytes(0)) === 'one\n');
  to.connections[0]!.socket.resetAndDestroy();
  await client.says(/connection reset.*; up to 4 B that it took may be lost/);
});

t.test('flags that no address uses are refused', async (t) => {
  for (const [args, error] of [
    [
      ['--server-addr', 'tcp://127.0.0.1:9', '--tls-ca', 'x'],
      '--tls-ca: no address is tls://; write tls://HOST:PORT',
    ],
    [
      ['--server-addr', '127.0.0.1:9', '--linger', '1s'],
      '--linger: no address sends by frame=mold or by TCP',
    ],
    [['--server-addr', 'tcp://127.0.0.1:9,frame=mold'], 'frame=mold cannot be used here'],
    [['--server-addr', 'tcp://127.0.0.1:9,ttl=1'], 'unknown key "ttl"'],
    [
      ['--server-addr', 'nothing://127.0.0.1:9'],
      'nothing:// cannot be used here; known here: udp, nats, tls+nats, tcp, tls',
    ],
    [['--server-addr', 'tcp://239.1.1.1:9'], 'a multicast group, which TCP does not have'],
    [['--tee', '--rate', '1Mbps'], '--rate: 1Mbps: there is no destination'],
    [['--server-addr', 'tcp://127.0.0.1:9,tls'], 'tcp:// and tls=yes contradict each other'],
  ] as const) {
    const client = start(t, 'client', ['--path', '-', ...args]);
    t.equal(await client.exited, 2, args.join(' '));
    t.match(client.stderr, error);
  }
});
