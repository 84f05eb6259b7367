import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { ListenOptions, PreambleOptions } from 'mproxy-net';
import { StreamConnection } from 'mproxy-net/linux/streams/connection';
import t, { type Test } from 'tap';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { listen, readAll } from './connections.js';
import { ENGINES } from './engines.js';
import { relay } from './tls-channels.js';

const MOST = 40;

/** `>PORT\n`: the port of the source. */
const PREAMBLE: PreambleOptions = {
  most: MOST,
  parse(bytes) {
    if (bytes[0] !== '>'.charCodeAt(0)) return 'invalid';
    const end = bytes.indexOf('\n');
    if (end < 0) return 'incomplete';
    const source = { address: '192.0.2.1', port: Number(bytes.toString('latin1', 1, end)) };
    return { length: end + 1, source, destination: undefined };
  },
};
const FOUND = { length: 6, source: { address: '192.0.2.1', port: 4321 }, destination: undefined };

/** A path to a port, on which a preamble comes first; all that the client sends comes in pieces of so many bytes. */
async function behind(t: Test, to: number, size: number): Promise<number> {
  let first = true;
  const { port } = await relay(t, to, async (bytes, on, fromClient) => {
    if (!fromClient) return void on.write(bytes);
    const all = first ? Buffer.concat([Buffer.from('>4321\n'), bytes]) : bytes;
    first = false;
    for (let at = 0; at < all.length; at += size) {
      on.write(all.subarray(at, at + size));
      await turn();
    }
  });
  return port;
}

for (const { name, streams } of ENGINES)
  for (const secured of [false, true])
    t.test(`${name}${secured ? ' with TLS' : ''}`, async (t) => {
      const authority = await Authority.make(t);
      const pair = await authority.sign({ dns: ['one.test'] });
      const trust = { ca: authority.pem, servername: 'one.test' };
      const errors: (NodeJS.ErrnoException & { peer: number | undefined })[] = [];
      const open = (t: Test, more: Partial<ListenOptions> = {}) =>
        listen(t, streams, {
          preamble: PREAMBLE,
          onHandshakeError: (error, peer) => errors.push(Object.assign(error, { peer: peer?.port })),
          ...(secured && { tls: { pairs: [pair] } }),
          ...more,
        });
      /** A client that sends bytes as they are. */
      const raw = async (t: Test, port: number, bytes = ''): Promise<Socket> => {
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
        socket.on('error', () => undefined);
        t.teardown(() => socket.destroy());
        await once(socket, 'connect');
        socket.write(bytes);
        return socket;
      };
      const refused = async () => {
        await until('it is refused', () => errors.length === 1);
        return errors.pop()!;
      };

      t.test('it is told, and nothing behind it is lost, in pieces of any size', async (t) => {
        const { logs, port } = await open(t);
        for (const size of [1, 3, 6, 7, 100_000]) {
          const path = await behind(t, port, size);
          const socket = secured
            ? connectTls({ host: '127.0.0.1', port: path, ...trust })
            : connect({ host: '127.0.0.1', port: path });
          const answer = readAll(socket);
          const words = `words ${'x'.repeat(20_000)}`;
          socket.write(words);
          await until('they arrive', () => logs[0]?.bytes === words.length);
          const { connection, text } = logs.pop()!;
          t.equal(text, words, `pieces of ${size}`);
          t.strictSame(connection.preamble, FOUND);
          t.equal(connection.received, words.length, 'the preamble does not count');
          t.equal(connection.peer?.address, '127.0.0.1', 'that of the socket');
          t.equal(connection.tls?.serverName, secured ? 'one.test' : undefined);
          if (name === 'linux') t.type(connection, StreamConnection, 'not the other engine');
          connection.write([Buffer.from('answer')]);
          connection.end();
          t.equal(String(await answer), 'answer');
          socket.destroy();
        }
        t.strictSame(errors, []);
      });

      t.test('who begins in another way, or never ends it, is refused', async (t) => {
        const { listener, logs, port } = await open(t);
        for (const bytes of ['<4321\n', '\x16\x03\x01', `>${'4'.repeat(MOST - 1)}`, `>${'4'.repeat(1000)}`]) {
          const socket = await raw(t, port, bytes);
          const { localPort } = socket;
          const ended = readAll(socket);
          t.match(await refused(), { code: 'EPROTO', peer: localPort }, JSON.stringify(bytes));
          t.equal((await ended.catch(() => Buffer.alloc(0))).length, 0);
          socket.destroy();
          await until('it is closed', () => listener.connections === 0);
        }
        t.equal(logs.length, 0);
      });

      t.test('who ends before it is complete is refused', async (t) => {
        const { listener, port } = await open(t);
        for (const bytes of ['', '>43']) {
          const socket = await raw(t, port, bytes);
          await until('it is accepted', () => listener.connections === 1);
          socket.end();
          t.match(await refused(), { code: 'EPROTO' }, JSON.stringify(bytes));
          socket.destroy();
          await until('it is closed', () => listener.connections === 0);
        }
        const socket = await raw(t, port, '>43');
        await until('it is accepted', () => listener.connections === 1);
        socket.resetAndDestroy();
        // libuv reports a reset as the end where it comes with bytes (uv__stream_io).
        t.match(await refused(), { code: name === 'node' ? /^(ECONNRESET|EPROTO)$/ : 'ECONNRESET' });
        await until('it is closed', () => listener.connections === 0);
      });

      t.test('it is limited in time', async (t) => {
        const { listener, logs, port } = await open(t, { handshakeTimeout: 100 });
        for (const bytes of ['', '>43', ...(secured ? ['>4321\n', '>4321\n\x16\x03\x01'] : [])]) {
          const socket = await raw(t, port, bytes);
          const { code, message } = await refused();
          const inTls = bytes.includes('\n');
          t.match(code, name === 'node' && inTls ? 'ERR_TLS_HANDSHAKE_TIMEOUT' : 'ETIMEDOUT');
          t.match(message, inTls ? /handshake/i : 'the preamble timed out');
          socket.destroy();
          await until('it is closed', () => listener.connections === 0);
        }
        t.equal(logs.length, 0);
      });

      t.test('closed meanwhile, no error is told', async (t) => {
        const { listener, port } = await open(t);
        const socket = await raw(t, port, '>43');
        const closed = once(socket.resume(), 'end').catch(() => undefined);
        await until('it is accepted', () => listener.connections === 1);
        listener.closeConnections();
        await closed;
        await until('it is closed', () => listener.connections === 0);
        t.strictSame(errors, []);
      });
    });
