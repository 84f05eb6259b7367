import { connect } from 'node:net';
import t from 'tap';
import { type Running, start } from '../support/command.js';
import { groupSend, groupSink, loopbackGroup } from '../support/group.js';
import { TcpClient, tcpClient } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { startOutput } from './output.js';

const clientsNow = (reverse: Running, now: number, ever: number) =>
  reverse.says(`, ${now} client${now === 1 ? '' : 's'} now ${ever} ever`);

t.test('a client gets everything from the moment it connected', async (t) => {
  const { group, reverse, port } = await startOutput(t);
  const early = await tcpClient(t, port);
  await clientsNow(reverse, 1, 1);
  await groupSend(group, ['first\n']);
  await early.has(6);
  const late = await tcpClient(t, port);
  await clientsNow(reverse, 2, 2);
  await groupSend(group, ['second\n']);
  t.equal(String(await late.has(7)), 'second\n');
  t.equal(String(await early.has(13)), 'first\nsecond\n');
});

t.test('a client that connected before everything has started gets what is sent from then on', async (t) => {
  const { group, reverse, port } = await startOutput(t);
  // The thread that receives the group may still be starting.
  const client = await tcpClient(t, port);
  await reverse.says('listening: group');
  await groupSend(group, ['first\n']);
  t.equal(String(await client.has(6)), 'first\n');
});

t.test('a client that closed its sending half goes on receiving', async (t) => {
  const { group, reverse, port } = await startOutput(t);
  const half = await tcpClient(t, port);
  half.socket.end('this is discarded');
  await clientsNow(reverse, 1, 1);
  await until('the end is sent', () => half.socket.writableFinished);
  await groupSend(group, ['one\n']);
  await half.has(4);
  await groupSend(group, ['two\n']);
  t.equal(String(await half.has(8)), 'one\ntwo\n');
  t.notOk(half.ended);
});

t.test('a client that went away is noticed when something is sent to it', async (t) => {
  const { group, reverse, port } = await startOutput(t);
  (await tcpClient(t, port)).socket.destroy();
  await clientsNow(reverse, 1, 1);
  await until('it is noticed', async () => {
    await groupSend(group, ['anyone?\n']);
    return reverse.stderr.includes('0 clients now 1 ever');
  });
});

t.test('what a client sends is discarded', async (t) => {
  const { group, reverse, port } = await startOutput(t);
  const talker = await tcpClient(t, port);
  const quiet = await tcpClient(t, port);
  await clientsNow(reverse, 2, 2);
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  const noise = random.bytes(100_000);
  for (let i = 0; i < 50; i++) talker.socket.write(noise);
  await until('all is taken', () => talker.socket.writableLength === 0);
  await groupSend(group, ['still here\n']);
  t.equal(String(await talker.has(11)), 'still here\n');
  t.equal(String(await quiet.has(11)), 'still here\n');
});

t.test('--max-clients closes one more at once, counts it, and takes another when one left', async (t) => {
  const { group, reverse, port } = await startOutput(t, '--max-clients', '2');
  const clients = [await tcpClient(t, port), await tcpClient(t, port)] as const;
  await clientsNow(reverse, 2, 2);
  const third = await tcpClient(t, port);
  await until('the third is closed', () => third.ended);
  await reverse.says('1 refused client');
  // A mere close would look like the end of its sending half until something is sent to it.
  clients[0].socket.resetAndDestroy();
  await clientsNow(reverse, 1, 2);
  const fourth = await tcpClient(t, port);
  await clientsNow(reverse, 2, 3);
  await groupSend(group, ['hello\n']);
  t.equal(String(await fourth.has(6)), 'hello\n');
  t.equal(String(await clients[1].has(6)), 'hello\n');
});

/** Connects from an address of this host. */
function clientFrom(t: Parameters<typeof start>[0], localAddress: string, port: number): TcpClient {
  const client = new TcpClient(connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: true }));
  t.teardown(() => client.socket.destroy());
  return client;
}

t.test('--allow lets only its networks connect, to either listener', async (t) => {
  const group = await loopbackGroup();
  const member = await groupSink(t, group);
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0', '--stats', '0.1'],
    ...[
      '--tcp-listen-addr',
      '[::]:0',
      '--allow',
      '127.0.7.0/24',
      '--allow',
      '127.0.9.9',
      '--allow',
      'fd00::/8',
    ],
  ]);
  const [output, input] = [await reverse.port(0), await reverse.port(2)];
  const strangers = ['127.0.0.1', '127.0.8.1', '127.0.9.8'].map((ip) => clientFrom(t, ip, output));
  const friends = ['127.0.7.1', '127.0.9.9'].map((ip) => clientFrom(t, ip, output));
  await until('strangers are closed', () => strangers.every(({ ended }) => ended));
  await clientsNow(reverse, 2, 2);
  const bad = clientFrom(t, '127.0.0.1', input);
  bad.socket.write('bad\n');
  await until('a strange sender is closed', () => bad.ended);
  const good = clientFrom(t, '127.0.7.7', input);
  good.socket.write('good\n');
  for (const friend of friends) t.equal(String(await friend.has(5)), 'good\n');
  t.equal(String(member.bytes), 'good\n');
  await reverse.says('3 refused clients');
  await reverse.says('1 refused connection');
});

t.test('any bytes at all on a TCP input do no harm', async (t) => {
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  const group = await loopbackGroup();
  const member = await groupSink(t, group);
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--tcp-listen-addr', '127.0.0.1:0', '--stats', '0.1'],
  ]);
  const port = await reverse.port();
  const noise = random.bytes(200_000).map((byte) => (byte === 0x0a ? 0 : byte));
  const rude = await tcpClient(t, port);
  rude.socket.write(noise);
  const abrupt = await tcpClient(t, port);
  abrupt.socket.write(random.bytes(1000));
  await until('the noise is in the group', () => member.datagrams.some(({ length }) => length > 60_000));
  abrupt.socket.resetAndDestroy();
  rude.socket.end();
  for (let i = 0; i < 20; i++) (await tcpClient(t, port)).socket.resetAndDestroy();
  await reverse.says('0 connections now 22 ever');
  const polite = await tcpClient(t, port);
  polite.socket.write('a line\n');
  await until('a line of the next', () => String(member.datagrams.at(-1)) === 'a line\n');
  t.equal(await reverse.stop(), 0);
});
