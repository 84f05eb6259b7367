// How a tunnel ends.
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { inOneOfSome } from '../support/tries.js';
import { until } from '../support/wait.js';
import { tunnelStack, tunnelSuites } from './tunnel-stack.js';
import { SWITCHED, tunnelClient, upgrade } from './tunnels.js';

/** Of a time-out that a test waits for, in milliseconds. */
const SHORT = 500;

for (const { name, streams, secure, tls } of await tunnelSuites(t)) {
  t.test(`${name}: each direction ends by itself, in both orders`, async (t) => {
    const { origin, open, outcomes } = await tunnelStack(t, streams, { tls });
    for (const clientFirst of [true, false]) {
      const { client, upstream } = await open();
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
    const { origin, port } = await tunnelStack(t, streams, { tls });
    origin.onHead = ({ socket }) => socket.end(`${SWITCHED}bye`);
    const client = (await tunnelClient(t, port, secure)).send(upgrade());
    await client.ended();
    t.equal(client.behind, 'bye');
    client.send('still here');
    await origin.ends[0]!.has('still here');
    client.socket.end();
    await origin.ends[0]!.ended();
    t.equal(origin.ends[0]!.end, 'end');
  });

  t.test(`${name}: a reset passes on as a reset, both ways`, async (t) => {
    const { open, outcomes } = await tunnelStack(t, streams, { tls });
    for (const byClient of [true, false]) {
      const { client, upstream } = await open();
      const [first, second] = byClient ? [client, upstream] : [upstream, client];
      const count = outcomes.length;
      first.reset();
      await second.ended();
      t.equal(second.end, 'reset');
      await until('it has ended', () => outcomes.length === count + 1);
      t.match(outcomes[count], { status: 101, cut: byClient ? 'client left' : /./ });
    }
  });

  t.test(`${name}: a reset behind the end of the other direction passes on, too`, async (t) => {
    const { open } = await tunnelStack(t, streams, { tls });
    for (const byClient of [true, false]) {
      const { client, upstream } = await open();
      const [first, second] = byClient ? [client, upstream] : [upstream, client];
      second.socket.end();
      await first.ended();
      first.reset();
      await until('the other side is gone', () => second.socket.destroyed);
      t.equal(second.end, 'reset');
    }
  });

  t.test(`${name}: whoever has ended, and then resets, resets the other side`, async (t) => {
    const { open } = await tunnelStack(t, streams, { tls });
    for (const byClient of [true, false]) {
      const { client, upstream } = await open();
      const [first, second] = byClient ? [client, upstream] : [upstream, client];
      first.socket.end();
      await second.ended();
      t.equal(second.end, 'end');
      first.reset();
      // Once it has read the end, a socket of Node notices by what it writes.
      await until('the other side notices', () => second.send('nobody takes this').end === 'reset');
    }
  });

  t.test(`${name}: a client that vanishes ends its upstream at once, and the reverse`, async (t) => {
    const { open } = await tunnelStack(t, streams, { tls });
    for (const byClient of [true, false])
      await inOneOfSome(t, async () => {
        const all: Awaited<ReturnType<typeof open>>[] = [];
        for (let i = 0; i < 10; i++) all.push(await open());
        const from = performance.now();
        for (const { client, upstream } of all) (byClient ? client : upstream).socket.destroy();
        const others = all.map(({ client, upstream }) => (byClient ? upstream : client));
        await Promise.all(others.map((one) => one.ended()));
        const ms = performance.now() - from;
        for (const { socket } of others) socket.destroy();
        return ms <= 100 ? [] : [`after ${ms.toFixed(0)} ms`];
      });
  });

  t.test(`${name}: silence in both directions ends it; bytes in one of them keep it`, async (t) => {
    const { open, outcomes } = await tunnelStack(t, streams, {
      tls,
      client: { timeouts: { tunnel: SHORT } },
      // Those of requests are shorter, and do not matter any more.
      timeouts: { head: 50, idle: 50, body: 50 },
    });
    for (const byClient of [true, false]) {
      const { client, upstream } = await open();
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
}
