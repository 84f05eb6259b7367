import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { Authority, pairFlags } from '../support/certificates.js';
import { start } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { until } from '../support/wait.js';

const ATTACKERS = 100;
const DATAGRAMS = 20_000;
/** Datagrams in a millisecond. */
const RATE = 5;
const LINE = `${'x'.repeat(1199)}\n`;

/** The first bytes of a TLS client. */
async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  connectTls({ port, host: '127.0.0.1', servername: 'feed.test' }).on('error', () => undefined);
  const [socket] = await once(server, 'connection');
  const [hello] = await once(socket, 'data');
  socket.destroy();
  server.close();
  return hello;
}

/** Has the server do the work of a handshake again and again, at no cost of its own. @returns how many there were */
function attack(t: Test, port: number, hello: Buffer): () => number {
  let ended = false;
  let handshakes = 0;
  t.teardown(() => {
    ended = true;
  });
  const begin = () => {
    if (ended) return;
    const socket = connect(port, '127.0.0.1', () => socket.write(hello));
    socket.on('error', () => undefined);
    socket.on('close', begin);
    socket.once('data', () => {
      handshakes++;
      socket.resetAndDestroy();
    });
  };
  for (let i = 0; i < ATTACKERS; i++) begin();
  return () => handshakes;
}

t.test('a flood of TLS handshakes costs a client of the same thread no datagram', async (t) => {
  const authority = await Authority.make(t);
  const pair = await authority.sign({ dns: ['feed.test'] });
  const group = await loopbackGroup();
  const args = ['--multicast-addr', group.address, '--tcp-output-addr', 'tls://127.0.0.1:0', '--stats', '1'];
  const reverse = start(t, 'reverse', [...args, ...pairFlags(pair)]);
  const port = await reverse.port();
  await reverse.says('listening: group');
  let bytes = 0;
  const client = connectTls({ port, host: '127.0.0.1', ca: authority.pem, servername: 'feed.test' });
  t.teardown(() => client.destroy());
  client.on('data', ({ length }: Buffer) => {
    bytes += length;
  });
  await reverse.says('1 client now');
  const handshakes = attack(t, port, await clientHello());
  const sender = createSocket('udp4');
  t.teardown(() => sender.close());
  await new Promise<void>((resolve) => sender.bind(0, '127.0.0.1', resolve));
  sender.setMulticastInterface('127.0.0.1');
  const begin = performance.now();
  for (let sent = 0; sent < DATAGRAMS; await wait(1))
    for (const due = Math.min(DATAGRAMS, (performance.now() - begin) * RATE); sent < due; sent++)
      sender.send(LINE, group.port, group.ip);
  await until('it has all', () => bytes === DATAGRAMS * LINE.length, 10_000).catch(() => undefined);
  t.equal(bytes, DATAGRAMS * LINE.length);
  t.comment(`${handshakes()} handshakes`);
  t.ok(handshakes() > 100);
  t.notMatch(reverse.stderr, 'lost in all');
});
