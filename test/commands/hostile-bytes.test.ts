import { join } from 'node:path';
import t from 'tap';
import { type Name, type Running, start } from '../support/command.js';
import { freeUdpPort, tcpClient, tcpServer, udpSend, udpSink } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';

const GROUP = '239.77.0.3';

/** Datagrams of any bytes and of every awkward length. */
function junk(random: Random): Buffer[] {
  const lengths = [0, 1, 2, 1472, 8096, 8097, 65_507];
  return Array.from({ length: 60 }, (_, i) => random.bytes(lengths[i] ?? random.integer(0, 3000)));
}

async function lives(running: Running, name: Name): Promise<void> {
  t.ok(running.running, `mproxy-${name} goes on: ${running.stderr}`);
  t.equal(await running.stop(), 0, 'and ends with 0');
  t.notMatch(running.stderr, /\n {4}at /, 'without a stack trace');
}

t.test('any bytes by UDP pass unchanged', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const sink = await udpSink(t);
  const file = join(t.testdir(), 'out');
  const server = start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0', '--tee']);
  const to = [await server.port(), sink.port].flatMap((port) => [
    '--udp-downstream-addr',
    `127.0.0.1:${port}`,
  ]);
  const forward = start(t, 'forward', ['--udp-listen-addr', '127.0.0.1:0', ...to]);
  const sent = junk(random);
  await udpSend(await forward.port(), sent);
  await until('all are there', () => sink.datagrams.length === sent.length);
  t.ok(sink.bytes.equals(Buffer.concat(sent)));
  t.same(
    sink.datagrams.map(({ length }) => length),
    sent.map(({ length }) => length),
    'boundaries are kept',
  );
  await until('all were teed', () => server.stdout.length >= sink.bytes.length);
  t.ok(server.stdout.equals(sink.bytes));
  await lives(forward, 'forward');
  await lives(server, 'server');
});

t.test('any bytes by TCP and at a TLS listener', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const group = await freeUdpPort();
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', `${GROUP}:${group},interface=lo`],
    ...['--tcp-listen-addr', '127.0.0.1:0', '--udp-listen-addr', '127.0.0.1:0'],
    ...['--tcp-output-addr', '127.0.0.1:0'],
  ]);
  // Outputs are opened before inputs: the group follows the TCP output.
  const ports = await Promise.all([0, 1, 2, 3].map((nth) => reverse.port(nth)));
  const [output, , input, udp] = ports as [number, number, number, number];
  const reader = await tcpClient(t, output);
  const writer = await tcpClient(t, input);
  const sent = random.bytes(100_000);
  for (let at = 0; at < sent.length; ) {
    const end = at + random.integer(1, 5000);
    writer.socket.write(sent.subarray(at, end));
    at = end;
  }
  writer.socket.end();
  const got = await reader.has(sent.length);
  t.ok(got.subarray(0, sent.length).equals(sent));
  await udpSend(udp, junk(random));
  const aborted = await tcpClient(t, input);
  aborted.socket.write(random.bytes(500));
  aborted.socket.resetAndDestroy();
  await reverse.says(
    /left 127\.0\.0\.1:0: connection reset|left 127\.0\.0\.1:0\n(?:.*\n)*.*left 127\.0\.0\.1:0/,
  );
  await lives(reverse, 'reverse');
});

t.test('an upstream that is not TLS, or sends anything, is tried again', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  let connections = 0;
  const { port } = await tcpServer(t, (socket) => {
    connections++;
    socket.end(random.bytes(random.integer(1, 2000)));
  });
  const forward = start(t, 'forward', ['--tee', '--tcp-connect-addr', `tls://127.0.0.1:${port}`]);
  await until('it came again', () => connections >= 2);
  await forward.says(/upstream: tls:\/\/127\.0\.0\.1:\d+: .*trying again/);
  t.equal(forward.stdout.length, 0);
  await lives(forward, 'forward');
});
