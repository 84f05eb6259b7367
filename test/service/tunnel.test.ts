// What passes through a tunnel, and how it ends.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { ENGINES } from '../net/engines.js';
import { Random } from '../support/random.js';
import { inOneOfSome } from '../support/tries.js';
import { until } from '../support/wait.js';
import { tunnelStack } from './tunnel-stack.js';
import { SWITCHED, tunnel, tunnelClient, upgrade } from './tunnels.js';

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

for (const { name, streams } of ENGINES) {
  t.test(`${name}: 16 MiB each way at once, in random pieces, with slow readers`, async (t) => {
    const random = new Random();
    t.comment(`SEED=${random.seed}`);
    const { origin, port, outcomes } = await tunnelStack(t, streams);
    const { client, upstream } = await tunnel(t, port, origin);
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

  t.test(`${name}: each direction ends by itself, in both orders`, async (t) => {
    const { origin, port, outcomes } = await tunnelStack(t, streams);
    for (const clientFirst of [true, false]) {
      const { client, upstream } = await tunnel(t, port, origin);
      const [first, second] = clientFirst ? [client, upstream] : [upstream, client];
      first.socket.end('the last');
      await second.ended();
      t.match(second.behind, /the last$/);
      for (let i = 0; i < 3; i++) {
        second.send(`${i} still passes`);
        await first.has(`${i} still passes`);
        t.equal(first.end, 'open');
      }
      const count = outcomes.length;
      second.socket.end('done');
      await first.ended();
      t.match(first.behind, /done$/);
      t.strictSame([first.end, second.end], ['end', 'end']);
      await until('it has ended', () => outcomes.length === count + 1);
      t.equal(outcomes[count]!.cut, undefined);
      await until('nothing is left', () => origin.open === 0);
    }
  });

  t.test(`${name}: the end of an upstream comes in the same piece as its 101`, async (t) => {
    const { origin, port } = await tunnelStack(t, streams);
    origin.onHead = ({ socket }) => socket.end(`${SWITCHED}bye`);
    const client = (await tunnelClient(t, port)).send(upgrade());
    await client.ended();
    t.equal(client.behind, 'bye');
    client.send('still here');
    await origin.ends[0]!.has('still here');
    client.socket.end();
    await origin.ends[0]!.ended();
    t.equal(origin.ends[0]!.end, 'end');
  });

  t.test(`${name}: a reset passes on as a reset, both ways`, async (t) => {
    const { origin, port, outcomes } = await tunnelStack(t, streams);
    for (const byClient of [true, false]) {
      const { client, upstream } = await tunnel(t, port, origin);
      const [first, second] = byClient ? [client, upstream] : [upstream, client];
      const count = outcomes.length;
      first.socket.resetAndDestroy();
      await second.ended();
      t.equal(second.end, 'reset');
      await until('it has ended', () => outcomes.length === count + 1);
      t.match(outcomes[count], { status: 101, cut: byClient ? 'client left' : /./ });
    }
  });

  t.test(`${name}: a reset behind the end of the other direction passes on, too`, async (t) => {
    const { origin, port } = await tunnelStack(t, streams);
    for (const byClient of [true, false]) {
      const { client, upstream } = await tunnel(t, port, origin);
      const [first, second] = byClient ? [client, upstream] : [upstream, client];
      second.socket.end();
      await first.ended();
      first.socket.resetAndDestroy();
      await until('the other side is gone', () => second.socket.destroyed);
      t.equal(second.end, 'reset');
    }
  });

  t.test(`${name}: a client that vanishes ends its upstream at once, and the reverse`, async (t) => {
    const { origin, port } = await tunnelStack(t, streams);
    for (const byClient of [true, false])
      await inOneOfSome(t, async () => {
        const all: Awaited<ReturnType<typeof tunnel>>[] = [];
        for (let i = 0; i < 10; i++) all.push(await tunnel(t, port, origin));
        const from = performance.now();
        for (const { client, upstream } of all) (byClient ? client : upstream).socket.destroy();
        const others = all.map(({ client, upstream }) => (byClient ? upstream : client));
        await Promise.all(others.map((one) => one.ended()));
        const ms = performance.now() - from;
        for (const { socket } of others) socket.destroy();
        return ms <= 100 ? [] : [`after ${ms.toFixed(0)} ms`];
      });
  });

  t.test(`${name}: whoever sends is slowed down while the other side takes nothing`, async (t) => {
    const { origin, port } = await tunnelStack(t, streams);
    for (const byClient of [true, false]) {
      const { client, upstream } = await tunnel(t, port, origin);
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

  t.test(`${name}: silence in both directions ends it; bytes in one of them keep it`, async (t) => {
    const { origin, port, outcomes } = await tunnelStack(t, streams, {
      client: { timeouts: { tunnel: SHORT } },
      // Those of requests are shorter, and do not matter any more.
      timeouts: { head: 50, idle: 50, body: 50 },
    });
    for (const byClient of [true, false]) {
      const { client, upstream } = await tunnel(t, port, origin);
      const [sender, reader] = byClient ? [client, upstream] : [upstream, client];
      for (let i = 0; i < 8; i++) {
        await wait(SHORT / 4);
        sender.send(`ping ${i}`);
        await reader.has(`ping ${i}`);
      }
      const [from, count] = [performance.now(), outcomes.length];
      await Promise.all([client.ended(), upstream.ended()]);
      const after = performance.now() - from;
      t.ok(after >= SHORT / 2, `after ${after.toFixed(0)} ms`);
      t.strictSame([client.end, upstream.end], ['reset', 'reset'], 'it does not look complete');
      await until('it has ended', () => outcomes.length === count + 1);
      t.match(outcomes[count], { status: 101, cut: 'nothing passed in either direction in time' });
    }
  });

  t.test(`${name}: a client that takes nothing is cut, and its upstream with it`, async (t) => {
    const { origin, port, outcomes } = await tunnelStack(t, streams, { timeouts: { send: SHORT } });
    const { client, upstream } = await tunnel(t, port, origin);
    client.socket.pause();
    const filling = fill(upstream.socket);
    await upstream.ended();
    await filling;
    t.equal(upstream.end, 'reset');
    client.socket.resume();
    await client.ended();
    t.equal(client.end, 'reset');
    t.match(outcomes, [{ status: 101, cut: 'the client takes nothing' }]);
  });

  t.test(`${name}: a tunnel is one of the connections that an upstream may have`, async (t) => {
    const pool = { maxConnections: 1, maxQueue: 10, maxIdle: 1, idle: 60_000 };
    const { origin, port } = await tunnelStack(t, streams, { client: { pool } });
    const { client, upstream } = await tunnel(t, port, origin);
    origin.onHead = (end) => end.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    const other = (await tunnelClient(t, port)).send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
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
