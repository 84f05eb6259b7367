import { readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { MessageChannel } from 'node:worker_threads';
import type { Connection, Streams } from 'mproxy-net';
import t, { type Test } from 'tap';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { listen } from './connections.js';
import { ENGINES } from './engines.js';

const CONNECTIONS = 10_000;
const AT_ONCE = 300;

/** How a connection comes to its end. */
const ENDS: Record<string, (connection: Connection) => void> = {
  end: (connection) => connection.end(),
  'end and close': (connection) => {
    connection.end();
    connection.close();
  },
  close: (connection) => connection.close(),
  abort: (connection) => connection.abort(),
  linger: (connection) => connection.linger(1000),
};

for (const { name, streams } of ENGINES) {
  t.test(name, async (t) => {
    t.test(
      `${CONNECTIONS} connections that come and go, ${AT_ONCE} at once: none gets bytes of another`,
      async (t) => {
        const random = new Random();
        t.comment(`SEED=${random.seed}`);
        const server = { opened: 0, closed: 0 };
        const { listener, port } = await listen(t, streams, {
          onConnection(connection) {
            server.opened++;
            echo(connection, () => server.closed++);
          },
        });
        await exchange(streams, port, Buffer.from('x'), ENDS.end!);
        // The listener's is one of them.
        const before = descriptors();
        let left = CONNECTIONS - 1;
        const wrong: string[] = [];
        const ends = Object.keys(ENDS);
        await Promise.all(
          Array.from({ length: AT_ONCE }, async () => {
            while (left-- > 0) {
              const how = ends[random.integer(0, ends.length - 1)]!;
              const sent = Buffer.alloc(random.integer(1, 2000), `${left},`);
              const received = await exchange(streams, port, sent, ENDS[how]!);
              if (!received.equals(sent)) wrong.push(`${how}: ${received.length} of ${sent.length}`);
            }
          }),
        );
        t.strictSame(wrong.slice(0, 5), []);
        await until('the other ends are closed', () => server.closed === CONNECTIONS);
        t.equal(server.opened, CONNECTIONS);
        t.equal(listener.connections, 0);
        listener.close();
        if (process.platform === 'linux')
          await until(
            `of ${before} descriptors one is gone, and none is new: ${descriptors()}`,
            () => descriptors() < before,
          );
      },
    );

    t.test('timers, messages and fetch under load', async (t) => {
      const http = createServer((_request, response) => response.end('yes'));
      await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
      t.teardown(() => http.close());
      const url = `http://127.0.0.1:${(http.address() as { port: number }).port}/`;
      const load = await pingPong(t, streams, 32);
      const late = { timer: 0, message: 0, fetch: 0 };
      const note = (what: keyof typeof late, ms: number) => {
        late[what] = Math.max(late[what], ms);
      };
      const { port1, port2 } = new MessageChannel();
      t.teardown(() => port1.close());
      for (let i = 0; i < 50; i++) {
        const begin = performance.now();
        await new Promise((resolve) => setTimeout(resolve, 5));
        note('timer', performance.now() - begin - 5);
        const posted = performance.now();
        const arrived = new Promise((resolve) => port2.once('message', resolve));
        port1.postMessage('x');
        await arrived;
        note('message', performance.now() - posted);
        const asked = performance.now();
        t.equal(await (await fetch(url)).text(), 'yes');
        // The first one loads undici.
        if (i > 0) note('fetch', performance.now() - asked);
      }
      const worst = Object.entries(late).map(([what, ms]) => `${what} ${ms.toFixed(1)}`);
      t.comment(`latest of 50, in ms: ${worst.join(', ')}; ${load.count()} messages passed`);
      t.ok(load.count() > 1000, 'it was under load');
      for (const [what, ms] of Object.entries(late)) t.ok(ms < 5000, `${what}: ${ms} ms`);
    });
  });
}

/** Sends bytes, receives as many, and ends. @returns what was received when it is closed */
async function exchange(
  streams: Streams,
  port: number,
  bytes: Buffer,
  end: (connection: Connection) => void,
): Promise<Buffer> {
  const connection = await streams.connect({ to: { address: '127.0.0.1', port } });
  const received: Buffer[] = [];
  let left = bytes.length;
  return new Promise((resolve) => {
    connection.start({
      onData(some) {
        received.push(Buffer.from(some));
        some.fill('!');
        left -= some.length;
        if (left === 0) end(connection);
      },
      onEnd: () => undefined,
      onClose: () => resolve(Buffer.concat(received)),
    });
    connection.write([bytes.subarray(0, 1), bytes.subarray(1)]);
  });
}

function echo(connection: Connection, onClose: () => void): void {
  connection.start({
    onData: (bytes) => void connection.write([Buffer.from(bytes)]),
    onEnd: () => connection.end(),
    onClose,
  });
}

/** Connections between which messages go to and fro without an end. */
async function pingPong(t: Test, streams: Streams, connections: number): Promise<{ count(): number }> {
  let count = 0;
  const answer = (connection: Connection) =>
    connection.start({
      onData(bytes) {
        count++;
        connection.write([Buffer.from(bytes)]);
      },
      onEnd: () => undefined,
      onClose: () => undefined,
    });
  const { port } = await listen(t, streams, { onConnection: answer });
  for (let i = 0; i < connections; i++) {
    const connection = await streams.connect({ to: { address: '127.0.0.1', port } });
    t.teardown(() => connection.close());
    answer(connection);
    connection.write([Buffer.alloc(20_000)]);
  }
  return { count: () => count };
}

function descriptors(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}
