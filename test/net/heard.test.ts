import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { SocketAddress } from 'mproxy-base';
import type { Engine, RequestSocket, Sender, SenderOptions } from 'mproxy-net';
import t, { type Test } from 'tap';
import { freeUdpPort } from '../support/net.js';
import { until } from '../support/wait.js';
import { ENGINES, type Inbox, lo, noIpv6, open, openSender, sendAll } from './engines.js';

const GROUP = `239.80.${process.pid & 255}.1`;
const multicast = { interface: lo, ttl: 1, loop: true };

/** Opens a sender that answers every question with it, in capitals. */
async function openAnswering(t: Test, engine: Engine, port: number, options: Partial<SenderOptions> = {}) {
  const asked: string[] = [];
  const heard = (bytes: Buffer, from: SocketAddress) => {
    asked.push(String(bytes));
    sender.reply(Buffer.from(String(bytes).toUpperCase()), from);
  };
  const sender: Sender = await openSender(t, engine, port, { ...options, onMessage: heard });
  return { sender, asked };
}

/** Opens what asks, and remembers the answers and who gave them. */
async function openAsking(t: Test, engine: Engine, family: 4 | 6 = 4) {
  const answers: [text: string, from: SocketAddress][] = [];
  const heard = (bytes: Buffer, from: SocketAddress) => void answers.push([String(bytes), from]);
  const exchange = await engine.openRequestSocket({ family, receiveBuffer: 65_536, onMessage: heard });
  t.teardown(() => exchange.close());
  return { exchange, answers };
}

const places: [where: string, address: string, group: boolean, skip: false | string][] = [
  ['a unicast destination', '127.0.0.1', false, false],
  ['an IPv6 destination', '::1', false, noIpv6],
  ['a group', GROUP, true, false],
];

for (const engine of ENGINES) {
  for (const [where, address, group, skip] of places) {
    t.test(`${engine.name}: who sends to ${where} answers from the same port`, { skip }, async (t) => {
      const own = address === GROUP ? '127.0.0.1' : address;
      const port = await freeUdpPort();
      const membership = group ? { membership: { interface: lo, sources: [] } } : {};
      const inbox: Inbox = (await open(t, engine, { address, port, ...membership })).run();
      const { sender, asked } = await openAnswering(t, engine, port, {
        address,
        ...(group && { multicast }),
      });
      const family = own === '::1' ? 6 : 4;
      const askers = [await openAsking(t, engine, family), await openAsking(t, engine, family)];
      const from = { address: own, port: sender.local.port };
      const texts = Array.from({ length: 300 }, (_, i) => `datagram ${i}`);
      for (let i = 0; i < 300; i += 100) {
        for (const { exchange } of askers) exchange.send(Buffer.from(`question ${i}`), from);
        await sendAll(sender, texts.slice(i, i + 100));
      }
      await until('all are answered', () => askers.every(({ answers }) => answers.length === 3));
      await inbox.has(300);
      t.strictSame(inbox.texts, texts);
      for (const { answers } of askers) {
        t.strictSame(
          answers,
          ['QUESTION 0', 'QUESTION 100', 'QUESTION 200'].map((text) => [text, from]),
        );
      }
      t.equal(asked.length, 6);
      await until('all are counted', () => sender.counts.datagrams === 300 && sender.replies.datagrams === 6);
      t.strictSame([sender.replies.bytes, sender.replies.dropped, sender.replies.errors], [68, 0, {}]);
      t.equal(sender.target, undefined, 'no thread sends on it');
    });
  }

  t.test(`${engine.name}: nothing is heard or answered once it is closed`, async (t) => {
    const { sender, asked } = await openAnswering(t, engine, await freeUdpPort());
    const { exchange, answers } = await openAsking(t, engine);
    const to = { address: '127.0.0.1', port: sender.local.port };
    exchange.send(Buffer.from('a'), to);
    await until('it is answered', () => answers.length === 1);
    await sender.close();
    const later = (await open(t, engine, to)).run();
    exchange.send(Buffer.from('b'), to);
    await later.has(1);
    sender.reply(Buffer.from('c'), exchange.local);
    t.strictSame([asked, sender.replies.datagrams, sender.replies.dropped], [['a'], 1, 1]);
  });

  t.test(`${engine.name}: a reply that cannot be sent is counted, and harms nothing`, async (t) => {
    const { sender } = await openAnswering(t, engine, await freeUdpPort());
    const nowhere: SocketAddress[] = [
      { address: '127.0.0.1', port: 0 },
      { address: '::1', port: 9 },
      { address: 'fe80::1%none', port: 9 },
    ];
    for (const to of nowhere) sender.reply(Buffer.from('x'), to);
    sender.reply(Buffer.alloc(65_536), { address: '127.0.0.1', port: 9 });
    const failed = () => Object.values(sender.replies.errors).reduce((sum, count) => sum + count, 0);
    await until('all are counted', () => failed() === 4);
    t.equal(sender.replies.errors.EMSGSIZE, 1);
    t.strictSame([sender.replies.datagrams, sender.counts.datagrams, sender.counts.errors], [0, 0, {}]);
  });

  t.test(`${engine.name}: an IPv4 question to an IPv6 sender is answered`, { skip: noIpv6 }, async (t) => {
    const { sender } = await openAnswering(t, engine, await freeUdpPort(), { address: '::1' });
    const { exchange, answers } = await openAsking(t, engine);
    const from = { address: '127.0.0.1', port: sender.local.port };
    exchange.send(Buffer.from('a'), from);
    await until('it is answered', () => answers.length === 1);
    t.strictSame(answers, [['A', from]]);
  });

  t.test(`${engine.name}: who does not hear cannot reply`, async (t) => {
    const sender = await openSender(t, engine, await freeUdpPort());
    t.throws(() => sender.reply(Buffer.from('x'), { address: '127.0.0.1', port: 9 }), /does not hear/);
    t.strictSame(sender.replies, { datagrams: 0, bytes: 0, dropped: 0, errors: {}, returned: {} });
  });

  t.test(`${engine.name}: a flood of questions does not stop the sending, nor take memory`, async (t) => {
    const inbox = (await open(t, engine)).run();
    const { sender, asked } = await openAnswering(t, engine, inbox.port, { sendBuffer: 65_536 });
    const before = process.memoryUsage().rss;
    const flooding = flood(t, sender.local.port);
    await until('the flood is there', () => asked.length > 0);
    const heardBefore = asked.length;
    const datagram = Buffer.alloc(30_000, 'x');
    for (let i = 0; i < 300; i++) {
      await sendAll(sender, [datagram]);
      await inbox.has(i + 1);
    }
    const heard = asked.length - heardBefore;
    t.ok(heard > 0, `${heard} questions meanwhile`);
    flooding.kill('SIGKILL');
    await once(flooding, 'exit');
    await until('all are counted', () => {
      const { datagrams, dropped } = sender.replies;
      return datagrams + dropped === asked.length;
    });
    t.comment(`${asked.length} heard, ${sender.replies.dropped} replies dropped`);
    t.strictSame([sender.counts.datagrams, sender.counts.dropped, sender.counts.errors], [300, 0, {}]);
    const grown = process.memoryUsage().rss - before;
    t.ok(grown < 200e6, `${Math.round(grown / 1e6)} MB more`);
  });

  t.test(
    `${engine.name}: what the network returns for replies is theirs, and costs none of them`,
    { skip: engine.name !== 'linux' && 'the node engine cannot read error queues' },
    async (t) => {
      const inbox = (await open(t, engine)).run();
      const { sender } = await openAnswering(t, engine, inbox.port);
      const gone = { address: '127.0.0.1', port: await freeUdpPort() };
      for (let i = 0; i < 50; i++) {
        sender.reply(Buffer.from('x'), gone);
        await sendAll(sender, ['y']);
      }
      await inbox.has(50);
      t.strictSame([sender.counts.datagrams, sender.counts.errors], [50, {}]);
      t.strictSame([sender.replies.datagrams, sender.replies.dropped], [50, 0]);
      t.strictSame(sender.replies.returned, { [`ECONNREFUSED 127.0.0.1:${gone.port}`]: 50 });
    },
  );

  t.test(`${engine.name}: a stream that hears waits for room, too`, async (t) => {
    const inbox = (await open(t, engine, { receiveBuffer: 65_536 })).run();
    const { sender } = await openAnswering(t, engine, inbox.port, { sendBuffer: 65_536 });
    await sendAll(sender, Array(100).fill(Buffer.alloc(50_000, 'x')));
    await sender.close();
    t.strictSame([sender.counts.datagrams, sender.counts.dropped], [100, 0]);
  });

  t.test(
    `${engine.name}: the group that it sends to from the group's port is not heard`,
    { skip: !engine.exactGroups && 'the engine cannot keep groups out' },
    async (t) => {
      const port = await freeUdpPort();
      const membership = { interface: lo, sources: [] };
      const inbox = (await open(t, engine, { address: GROUP, port, membership })).run();
      const bind = { address: '0.0.0.0', port };
      const options = { address: GROUP, multicast, bind };
      const { sender, asked } = await openAnswering(t, engine, port, options);
      await sendAll(sender, ['to the group']);
      await inbox.has(1);
      const { exchange, answers }: { exchange: RequestSocket; answers: unknown[] } = await openAsking(
        t,
        engine,
      );
      exchange.send(Buffer.from('question'), { address: '127.0.0.1', port });
      await until('it is answered', () => answers.length === 1);
      t.strictSame(asked, ['question']);
    },
  );

  t.test(
    `${engine.name}: the same port goes on when the destination is another`,
    { skip: engine.name === 'node' && 'it takes another socket' },
    async (t) => {
      const [first, second] = [(await open(t, engine)).run(), (await open(t, engine)).run()];
      const { sender } = await openAnswering(t, engine, first.port);
      const { port } = sender.local;
      await sendAll(sender, ['a']);
      t.ok(sender.redirect?.(4, { address: '127.0.0.1', port: second.port }));
      await sendAll(sender, ['b']);
      await Promise.all([first.has(1), second.has(1)]);
      t.strictSame([first.texts, second.texts, sender.local.port], [['a'], ['b'], port]);
    },
  );
}

/** Has another process send datagrams of 20 bytes, until it is killed. */
function flood(t: Test, port: number): ChildProcess {
  const script = `
    const socket = require('node:dgram').createSocket('udp4');
    const next = () => socket.send('question'.padEnd(20), ${port}, '127.0.0.1', next);
    socket.bind(0, '127.0.0.1', next);`;
  // The test runner, loaded into it, has other signals heard by the event loop, which is never idle.
  const killSignal = 'SIGKILL';
  const child = spawn(process.execPath, ['-e', script], { stdio: 'inherit', timeout: 60_000, killSignal });
  t.teardown(() => child.kill(killSignal));
  return child;
}
