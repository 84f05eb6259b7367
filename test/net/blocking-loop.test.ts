import type { Connection, ConnectionHandler } from 'mproxy-net';
import { loadLibc } from 'mproxy-net/linux/libc';
import { Loop } from 'mproxy-net/linux/loop';
import { StreamConnection } from 'mproxy-net/linux/streams/connection';
import { Connector } from 'mproxy-net/linux/streams/connector';
import { Handshake } from 'mproxy-net/linux/streams/handshake';
import { Listener } from 'mproxy-net/linux/streams/listener';
import { StreamParts } from 'mproxy-net/linux/streams/parts';
import { TicketKeys } from 'mproxy-net/linux/tls/ticket-keys';
import { Tls } from 'mproxy-net/linux/tls/tls';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import { passTo } from './connections.js';

const skip = process.platform !== 'linux' && 'epoll is of Linux';

/** What a memory is surrounded by. */
const CANARY = 4096;

t.test('connections in a loop that blocks, without a turn of the event loop of Node', { skip }, async (t) => {
  const libc = loadLibc();
  const loop = new Loop(libc);
  t.teardown(() => loop.close());
  const all = Buffer.alloc(64 * 1024 + 2 * CANARY, 0xaa);
  const memory = all.subarray(CANARY, -CANARY);
  const parts = new StreamParts(libc, loop, undefined, undefined, memory);
  const closed: string[] = [];
  const failures: unknown[] = [];
  let returned = 0;
  const listener = new Listener(parts, {
    at: { address: '127.0.0.1', port: 0 },
    onConnection: (connection) =>
      connection.start(passTo(connection, connection, (error) => closed.push(`server ${error?.message}`))),
  });
  t.teardown(() => listener.close());
  const block = Buffer.alloc(5_000_000, 'x');
  const onError = (error: unknown) => failures.push(error);
  new Connector(
    parts,
    { to: listener.local! },
    {
      onError,
      onConnected(connection) {
        connection.start({
          onData(bytes) {
            returned += bytes.length;
            if (bytes.some((byte) => byte !== block[0])) failures.push('wrong bytes');
            if (returned === block.length) connection.end();
          },
          onEnd: () => undefined,
          onClose: (error) => closed.push(`client ${error?.message}`),
        });
        connection.write([block]);
      },
    },
  );
  // Nobody listens there.
  new Connector(
    parts,
    { to: { address: '127.0.0.2', port: listener.local!.port } },
    { onError, onConnected: () => undefined },
  );
  const deadline = performance.now() + 10_000;
  while (closed.length < 2 && performance.now() < deadline) loop.turn(100);
  t.strictSame(closed.toSorted(), ['client undefined', 'server undefined']);
  t.equal(returned, block.length);
  t.match(failures, [{ code: 'ECONNREFUSED', syscall: 'connect' }]);
  t.equal(listener.connections, 0);
  listener.close();
  t.equal(loop.holders, 0);
  t.equal(loop.size, 0);
  for (const edge of [all.subarray(0, CANARY), all.subarray(-CANARY)])
    t.ok(
      edge.every((byte) => byte === 0xaa),
      'nothing is written beside the memory',
    );
});

t.test('TLS in a loop that blocks', { skip }, async (t) => {
  const authority = await Authority.make(t);
  const pairs = [await authority.sign({ dns: ['one.test'] })];
  const client = { credentials: { ca: authority.pem }, serverName: 'one.test', insecure: false };
  const libc = loadLibc();
  const loop = new Loop(libc);
  t.teardown(() => loop.close());
  const tls = new Tls(libc, new TicketKeys());
  const parts = new StreamParts(libc, loop, tls);
  const events: string[] = [];
  const onError = (error: unknown) => events.push(String(error));
  const handler = (name: string, connection: Connection): ConnectionHandler => ({
    onData: (bytes) => events.push(`${name}: ${bytes}`),
    onEnd: () => connection.end(),
    onClose: (error) => events.push(`${name} closed ${error?.message}`),
  });
  const listener = new Listener(parts, {
    at: { address: '127.0.0.1', port: 0 },
    tls: { pairs },
    onConnection: (connection) => {
      connection.start(handler('server', connection));
      connection.write([Buffer.from('hello')]);
    },
    onHandshakeError: onError,
  });
  t.teardown(() => listener.close());
  const secure = (plain: StreamConnection, serverName: string) => {
    const { peer, local } = plain;
    const fd = plain.detach();
    const channel = tls.client(client.credentials).connect(fd, { ...client, serverName }, 'server');
    const onSecured = () => {
      const connection = new StreamConnection(parts, fd, channel, { peer, local, tls: channel.facts });
      connection.start(handler('client', connection));
      connection.write([Buffer.from('question')]);
      connection.end();
    };
    new Handshake(
      parts,
      fd,
      channel,
      { timeout: 5000 },
      {
        onSecured,
        onError(error) {
          onError(error);
          channel.free();
          libc.close(fd);
        },
      },
    );
  };
  for (const serverName of ['one.test', 'two.test'])
    new Connector(
      parts,
      { to: listener.local! },
      { onError, onConnected: (plain) => secure(plain, serverName) },
    );
  const deadline = performance.now() + 10_000;
  while ((events.length < 6 || listener.connections > 0) && performance.now() < deadline) loop.turn(100);
  t.match(events.toSorted(), [
    /^Error: error:.*alert bad certificate/,
    /^Error: hostname mismatch/,
    'client closed undefined',
    'client: hello',
    'server closed undefined',
    'server: question',
  ]);
  listener.close();
  t.equal(loop.holders, 0);
  t.equal(loop.size, 0);
});
