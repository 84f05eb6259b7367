import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ListenOptions, PreambleOptions } from 'mproxy-net';
import t, { type Test } from 'tap';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { ENGINES } from './engines.js';

/** A single `>`. */
const PREAMBLE: PreambleOptions = {
  most: 1,
  parse: ([first]) => (first === 0x3e ? { length: 1, source: undefined, destination: undefined } : 'invalid'),
};

for (const { name, streams } of ENGINES)
  t.test(
    `${name}: the end of what a connection begins with is told once, before what it became`,
    async (t) => {
      const authority = await Authority.make(t);
      const pair = await authority.sign({ dns: ['one.test'] });
      /** A listener that notes what it is told. */
      const open = async (t: Test, options: Partial<ListenOptions> = {}) => {
        const told: string[] = [];
        const listener = await streams.listen({
          at: { address: '127.0.0.1', port: 0 },
          tls: { pairs: [pair] },
          admit: () => {
            told.push('admitted');
            return () => told.push('ended');
          },
          onConnection: (connection) => {
            told.push('connection');
            t.teardown(() => connection.close());
          },
          onHandshakeError: () => told.push('error'),
          ...options,
        });
        t.teardown(() => {
          listener.close();
          listener.closeConnections();
        });
        const socket = (write?: string) => {
          const made = connect(listener.local!.port, '127.0.0.1', () => write && made.write(write));
          made.on('error', () => undefined).resume();
          t.teardown(() => made.destroy());
          return made;
        };
        /** That it was told these, and is told nothing more with the end of all connections. */
        const has = async (...expected: string[]) => {
          await until(`${expected}`, () => told.length >= expected.length);
          listener.closeConnections();
          await until('none is left', () => listener.connections === 0);
          t.strictSame(told, expected);
        };
        return { listener, told, socket, has };
      };

      t.test('without anything that comes first', async (t) => {
        const { socket, has } = await open(t, { tls: undefined! });
        socket();
        await has('admitted', 'ended', 'connection');
      });

      t.test('a handshake', async (t) => {
        const { listener, has } = await open(t);
        const options = { host: '127.0.0.1', port: listener.local!.port };
        const socket = connectTls({ ...options, ca: authority.pem, servername: 'one.test' });
        t.teardown(() => socket.destroy());
        socket.on('error', () => undefined);
        await once(socket, 'secureConnect');
        await has('admitted', 'ended', 'connection');
      });

      t.test('no handshake', async (t) => {
        const { socket, has } = await open(t);
        socket('GET / HTTP/1.1\r\n\r\n');
        await has('admitted', 'ended', 'error');
      });

      t.test('a client that leaves', async (t) => {
        const { socket, told, has } = await open(t);
        const left = socket();
        await until('it is there', () => told.length === 1);
        left.resetAndDestroy();
        await has('admitted', 'ended', 'error');
      });

      t.test('a handshake that is never begun', async (t) => {
        const { socket, has } = await open(t, { handshakeTimeout: 100 });
        socket();
        await has('admitted', 'ended', 'error');
      });

      t.test('another preamble', async (t) => {
        const { socket, has } = await open(t, { preamble: PREAMBLE });
        socket('<');
        await has('admitted', 'ended', 'error');
      });

      t.test('closed by this side', async (t) => {
        const { listener, socket, told } = await open(t);
        socket();
        await until('it is there', () => told.length === 1);
        listener.closeConnections();
        await until('it is told', () => told.includes('ended'));
        t.equal(told.filter((one) => one === 'ended').length, 1);
      });
    },
  );
