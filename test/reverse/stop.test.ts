import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { Authority, pairFlags } from '../support/certificates.js';
import { type Running, start } from '../support/command.js';
import { type Group, groupSend, loopbackGroup } from '../support/group.js';
import { inParts, TcpClient, tcpClient } from '../support/net.js';
import { until } from '../support/wait.js';
import { startOutput } from './output.js';

const SIZE = 50_000;

/** Room in a queue for all that a test sends. */
const BUFFER = ['--client-buffer', '64MiB'];

/** Sends to a group, no faster than a client reads. */
function pour(group: Group, reader: TcpClient, datagrams: number): Promise<void> {
  const all = Array.from({ length: datagrams }, () => Buffer.alloc(SIZE, 'x'));
  const send = (part: Buffer[]) => groupSend(group, part);
  return inParts(all, send, (_, bytes) => reader.length >= bytes);
}

/** Resolves when the port is closed: the clients are told of the end. */
async function stopsListening(port: number): Promise<void> {
  await until('the port is closed', async () => {
    const probe = connect(port, '127.0.0.1');
    return new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(true));
      probe.once('connect', () => {
        probe.destroy();
        resolve(false);
      });
    });
  });
}

/** The last numbers of --stats, which follow the closing of the clients. */
const lastStats = ({ stderr }: Running) => stderr.split('\n').findLast((line) => / clients? now /.test(line));

t.test('at a stop, clients that send something still get what the kernel holds for them', async (t) => {
  const { group, reverse, port } = await startOutput(t, ...BUFFER);
  const reader = await tcpClient(t, port);
  const talker = await tcpClient(t, port);
  await reverse.says('2 clients now 2 ever');
  talker.socket.pause();
  await pour(group, reader, 40);
  const stopped = reverse.stop();
  await stopsListening(port);
  talker.socket.on('data', () => talker.socket.write('thanks'));
  talker.socket.write('thanks');
  talker.socket.resume();
  for (const { socket } of [reader, talker]) socket.on('end', () => socket.end());
  t.equal(await stopped, 0);
  await until('it is closed', () => talker.closed);
  t.equal(talker.length, 40 * SIZE, 'it has everything');
  t.notMatch(reverse.stderr, 'lost');
  t.match(lastStats(reverse), '0 clients now');
});

t.test('at a stop, a client that does not close in return delays it by no more than a second', async (t) => {
  const { group, reverse, port } = await startOutput(t, ...BUFFER);
  const idle = await tcpClient(t, port);
  await reverse.says('1 client now 1 ever');
  await groupSend(group, ['one\n']);
  await idle.has(4);
  const at = performance.now();
  t.equal(await reverse.stop(), 0);
  // The rest is for the exit of the process.
  t.ok(performance.now() - at < 5000);
  t.match(reverse.stderr, /client: \S+ left/);
  t.notMatch(reverse.stderr, 'lost');
  t.match(lastStats(reverse), '0 clients now');
});

t.test('what a client has not taken at the end of a stop is counted as dropped', async (t) => {
  const { group, reverse, port } = await startOutput(t, ...BUFFER);
  const reader = await tcpClient(t, port);
  const stuck = await tcpClient(t, port);
  await reverse.says('2 clients now 2 ever');
  stuck.socket.pause();
  await pour(group, reader, 400);
  reader.socket.on('end', () => reader.socket.end());
  t.equal(await reverse.stop(), 0);
  const [, dropped] = /dropped ([\d,]+) datagrams?: clients did not keep up/.exec(reverse.stderr) ?? [];
  const count = Number(dropped?.replaceAll(',', ''));
  stuck.socket.resume();
  await until('it has what the kernel held', () => stuck.ended);
  const missing = 400 - Math.floor(stuck.length / SIZE);
  t.ok(count >= missing, `${missing} are missing, ${dropped} counted`);
  // What the kernel took a part of is counted: 128 KiB, and the rest of the last range.
  t.ok(count <= missing + (2 * 128 * 1024) / SIZE + 1, `${missing} are missing, ${dropped} counted`);
  t.match(reverse.stderr, /client: \S+: had not taken everything 1 s after the stop: disconnected/);
  t.equal(reverse.stderr.match(/client: \S+ left/g)?.length, 2);
  t.match(lastStats(reverse), '0 clients now');
});

t.test(
  'at a stop, TLS clients get what is queued, and those in their handshake or refused are closed',
  async (t) => {
    const group = await loopbackGroup();
    const pair = await (await Authority.make(t)).sign({ dns: ['feed.test'] });
    const args = ['--multicast-addr', group.address, '--tcp-output-addr', 'tls://127.0.0.1:0'];
    const reverse = start(t, 'reverse', [...args, ...pairFlags(pair), '--stats', '0.1']);
    const port = await reverse.port();
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    const client = new TcpClient(socket);
    t.teardown(() => socket.destroy());
    await reverse.says('1 client now 1 ever');
    socket.pause();
    await groupSend(
      group,
      Array.from({ length: 10 }, () => Buffer.alloc(SIZE, 'x')),
    );
    await reverse.says('10 datagrams 500.0 kB, 1 client now');
    const [silent, refused] = [await tcpClient(t, port), await tcpClient(t, port)];
    refused.socket.write('GET / HTTP/1.1\r\n\r\n');
    await until('it is turned away', () => refused.ended);
    const stopped = reverse.stop();
    await stopsListening(port);
    socket.write('thanks');
    socket.resume();
    t.equal(await stopped, 0);
    await until('it is closed', () => client.closed);
    t.equal(client.length, 10 * SIZE);
    await until('the others are closed', () => silent.ended);
    t.notMatch(reverse.stderr, 'lost');
    t.match(lastStats(reverse), '0 clients now 1 ever');
  },
);
