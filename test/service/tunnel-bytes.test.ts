// What passes through a tunnel, and how fast.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { tunnelStack, tunnelSuites } from './tunnel-stack.js';
import { tunnelClient } from './tunnels.js';

const SIZE = 16 * 1024 * 1024;
/** Of a time-out that a test waits for, in milliseconds. */
const SHORT = 500;
/** What the kernel holds between two sockets at most, with what is buffered between. */
const MOST_HELD = 16 * 1024 * 1024;

/** Sends random pieces. @returns their digest */
async function pour(socket: Socket, random: Random, size = SIZE): Promise<string> {
  const hash = createHash('sha256');
  for (let left = size; left > 0; ) {
    const piece = Buffer.alloc(Math.min(left, random.integer(1, 100_000)));
    for (let i = 0; i < piece.length; i += 4) piece[i] = random.integer(0, 255);
    left -= piece.length;
    hash.update(piece);
    if (!socket.write(piece)) await once(socket, 'drain');
  }
  return hash.digest('hex');
}

/** Reads to the end, with pauses. @returns the digest of all */
async function drink(socket: Socket, random: Random): Promise<string> {
  const hash = createHash('sha256');
  socket.removeAllListeners('data');
  for await (const bytes of socket.iterator({ destroyOnReturn: false })) {
    hash.update(bytes);
    if (random.integer(0, 40) === 0) await wait(1);
  }
  return hash.digest('hex');
}

/** Sends until nothing is taken any more. @returns how much was taken */
async function fill(socket: Socket): Promise<number> {
  const piece = Buffer.alloc(64 * 1024, 'x');
  let sent = 0;
  while (sent < 4 * MOST_HELD) {
    sent += piece.length;
    if (socket.write(piece)) continue;
    const drained = once(socket, 'drain').then(() => true);
    if (!(await Promise.race([drained, wait(300).then(() => false)]))) break;
  }
  return sent;
}

for (const { name, streams, secure, tls } of await tunnelSuites(t)) {
  t.test(`${name}: 16 MiB each way at once, in random pieces, with slow readers`, async (t) => {
    const random = new Random();
    t.comment(`SEED=${random.seed}`);
    const { open, outcomes } = await tunnelStack(t, streams, { tls });
    const { client, upstream } = await open();
    const ends = [client.socket, upstream.socket];
    const got = ends.map((socket) => drink(socket, random));
    const sent = ends.map(async (socket) => {
      const digest = await pour(socket, random);
      socket.end();
      return digest;
    });
    t.strictSame(await Promise.all(got), (await Promise.all(sent)).reverse());
    await until('it has ended', () => outcomes.length === 1);
    t.match(outcomes, [{ status: 101, received: SIZE, sent: SIZE, cut: undefined }]);
  });

  t.test(`${name}: what was sent before the second end comes whole, however slowly it is read`, async (t) => {
    const { open, outcomes } = await tunnelStack(t, streams, { tls });
    for (const byClient of [true, false]) {
      // Lengths around what is held between them.
      for (const size of [100_000, 3_000_000, 8_000_000]) {
        const { client, upstream } = await open();
        const [sender, reader] = byClient ? [client, upstream] : [upstream, client];
        reader.socket.end();
        await sender.ended();
        reader.socket.pause();
        const from = reader.text.length;
        const bytes = Buffer.alloc(size, 'x');
        sender.socket.end(bytes);
        // The sender may be done before anything is read.
        await Promise.race([once(sender.socket, 'finish'), wait(100)]);
        reader.socket.resume();
        await reader.ended();
        t.equal(reader.text.length - from, size, `${size} bytes`);
        t.equal(reader.end, 'end');
      }
    }
    await until('all have ended', () => outcomes.length === 6);
    t.strictSame(
      outcomes.map(({ cut }) => cut),
      Array(6).fill(undefined),
    );
  });

  t.test(`${name}: whoever sends is slowed down while the other side takes nothing`, async (t) => {
    const { open } = await tunnelStack(t, streams, { tls });
    for (const byClient of [true, false]) {
      const { client, upstream } = await open();
      const [sender, reader] = byClient ? [client, upstream] : [upstream, client];
      reader.socket.pause();
      const sent = await fill(sender.socket);
      t.ok(sent < MOST_HELD, `${sent} bytes were taken`);
      // The other direction goes on meanwhile.
      reader.send('against it');
      await sender.has('against it');
      let got = 0;
      reader.socket.removeAllListeners('data').on('data', (bytes) => {
        got += bytes.length;
      });
      reader.socket.resume();
      sender.socket.end();
      await until('all came', () => got >= sent);
      await reader.ended();
      reader.socket.end();
      await sender.ended();
    }
  });

  t.test(`${name}: a client that takes nothing is cut, and its upstream with it`, async (t) => {
    const { open, outcomes } = await tunnelStack(t, streams, { tls, timeouts: { send: SHORT } });
    const { client, upstream } = await open();
    client.socket.pause();
    const filling = fill(upstream.socket);
    await upstream.ended();
    await filling;
    t.equal(upstream.end, 'reset');
    client.socket.resume();
    await client.ended();
    t.match(outcomes, [{ status: 101, cut: 'the client takes nothing' }]);
  });

  t.test(`${name}: a tunnel is one of the connections that an upstream may have`, async (t) => {
    const pool = { maxConnections: 1, maxQueue: 10, maxIdle: 1, idle: 60_000 };
    const { origin, port, open } = await tunnelStack(t, streams, { tls, client: { pool } });
    const { client, upstream } = await open();
    origin.onHead = (end) => end.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    const other = (await tunnelClient(t, port, secure)).send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    client.send('goes on');
    await upstream.has('goes on');
    t.strictSame([other.text, origin.ends.length], ['', 1], 'the other one waits');
    client.socket.end();
    await upstream.ended();
    upstream.socket.end();
    await other.has('ok');
    t.equal(origin.ends.length, 2, 'on a connection of its own');
  });
}
