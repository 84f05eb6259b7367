import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { Log, listen } from './connections.js';
import { ENGINES } from './engines.js';
import { relay } from './tls-channels.js';
import { clientHello, DATA, ENCRYPTED, inputs, record } from './tls-inputs.js';

const COUNT = 60;
const descriptors = () => readdirSync('/proc/self/fd').length;
const skip = process.platform !== 'linux' && 'the descriptors are those of Linux';

for (const { name, streams } of ENGINES)
  t.test(name, { skip }, async (t) => {
    const authority = await Authority.make(t);
    const pair = await authority.sign({ dns: ['one.test'] });
    const trust = { host: '127.0.0.1', ca: authority.pem, servername: 'one.test' };
    const tls = { credentials: { ca: authority.pem }, serverName: 'one.test', insecure: false };

    t.test('whatever comes instead of a handshake is an error, and leaves nothing behind', async (t) => {
      const random = new Random();
      t.comment(`SEED=${random.seed}`);
      const errors: Error[] = [];
      const onHandshakeError = (error: Error) => errors.push(error);
      // node:tls does not look at a FIN in the handshake, and waits.
      const limits = name === 'node' ? { handshakeTimeout: 500 } : {};
      const { listener, logs, port } = await listen(t, streams, {
        ...{ tls: { pairs: [pair] }, onHandshakeError, ...limits },
      });
      const before = descriptors();
      for (const [what, make] of Object.entries(inputs(await clientHello(), random))) {
        errors.length = 0;
        for (let i = 0; i < COUNT; i++) {
          const socket = connect({ port, host: '127.0.0.1' });
          socket.on('error', () => undefined).resume();
          await once(socket, 'connect');
          const bytes = make();
          const size = random.pick([1, 7, 100, bytes.length]);
          for (let at = 0; at < Math.min(bytes.length, 300 * size); at += size) {
            socket.write(bytes.subarray(at, at + size));
            if (size < 100) await turn();
          }
          if (random.next() < 0.5) socket.end();
          else socket.resetAndDestroy();
        }
        await until('all are closed', () => errors.length >= COUNT && listener.connections === 0).catch(
          (error) => {
            throw new Error(`${what}: ${errors.length} errors`, { cause: error });
          },
        );
        t.equal(errors.length, COUNT, what);
        t.ok(
          errors.every((error) => error instanceof Error && 'code' in error),
          'with codes',
        );
      }
      t.equal(logs.length, 0, 'no handshake succeeded');
      await until('no descriptor is left', () => descriptors() <= before);
      const connection = await streams.connect({ to: { address: '127.0.0.1', port }, tls });
      connection.close();
    });

    t.test('so is what comes behind the handshake, on either side', async (t) => {
      const random = new Random();
      t.comment(`SEED=${random.seed}`);
      const { listener, logs, port } = await listen(t, streams, { tls: { pairs: [pair] } });
      const injections: Record<string, () => Buffer> = {
        'an encrypted record with random contents': () => record(DATA, random.bytes(random.integer(1, 300))),
        'a record with a random type': () => record(random.integer(24, 255), random.bytes(50)),
        'random bytes': () => random.bytes(200),
        'a record of a byte too many': () => record(DATA, Buffer.alloc(ENCRYPTED + 1)),
      };
      const before = descriptors();
      let relays = 0;
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
        for (const [what, make] of Object.entries(injections))
          for (const toServer of [true, false]) {
            let on: Socket | undefined;
            relays++;
            const path = await relay(t, port, (bytes, to, fromClient) => {
              if (fromClient === toServer) on = to;
              to.write(bytes);
            });
            let ended: Promise<unknown>;
            let log: Log | undefined;
            if (toServer) {
              const socket = connectTls({ ...trust, port: path.port, maxVersion: version });
              ended = new Promise((resolve) =>
                socket
                  .on('error', () => undefined)
                  .on('close', resolve)
                  .resume(),
              );
              socket.write('word');
            } else {
              const connection = await streams.connect({
                to: { address: '127.0.0.1', port: path.port },
                tls,
              });
              log = new Log(connection).start();
              connection.write([Buffer.from('word')]);
              ended = log.has('close');
            }
            await until('it is accepted', () => logs[0]?.text === 'word');
            const server = logs.pop()!;
            const victim = log ?? server;
            victim.chunks.length = 0;
            on!.write(make());
            await victim.has('close');
            t.match(victim.code, /^ERR_SSL_|^EPROTO$/, `${version}: ${what}`);
            t.equal(victim.bytes, 0, 'nothing of it was delivered');
            server.connection.close();
            await ended;
            for (const socket of path.sockets) socket.destroy();
          }
      await until('all are closed', () => listener.connections === 0);
      await until('no descriptor is left but those of relays', () => descriptors() <= before + relays);
    });

    t.test('a handshake that takes too long is cut, however often something comes', async (t) => {
      const limit = 300;
      const errors: NodeJS.ErrnoException[] = [];
      const onHandshakeError = (error: Error) => errors.push(error);
      const { listener, logs, port } = await listen(t, streams, {
        ...{ tls: { pairs: [pair] }, handshakeTimeout: limit, onHandshakeError },
      });
      const hello = await clientHello();
      const started = performance.now();
      const sockets = Array.from({ length: 50 }, () => connect({ port, host: '127.0.0.1' }));
      for (const socket of sockets) socket.on('error', () => undefined).resume();
      let at = 0;
      const timer = setInterval(() => {
        for (const socket of sockets) if (!socket.destroyed) socket.write(hello.subarray(at, at + 1));
        at++;
      }, 20);
      t.teardown(() => clearInterval(timer));
      await until('all are cut', () => errors.length === 50 && listener.connections === 0);
      t.ok(performance.now() - started >= limit);
      for (const { code } of errors) t.match(code, /^(ETIMEDOUT|ERR_TLS_HANDSHAKE_TIMEOUT)$/);
      t.equal(logs.length, 0);
    });
  });
