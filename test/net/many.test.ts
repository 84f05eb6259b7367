import { createSocket, type Socket } from 'node:dgram';
import t, { type Test } from 'tap';
import { until } from '../support/wait.js';
import { ENGINES, type Inbox, lo, open, sendMeanwhile } from './engines.js';

const MANY = 200;
const ROUNDS = 30;

for (const engine of ENGINES) {
  t.test(
    `${engine.name}: ${MANY} receivers get all that is theirs, in the order of each sender`,
    async (t) => {
      const inboxes = await openMany(t, MANY, () => open(t, engine));
      const senders = [await socket(t), await socket(t)];
      for (let round = 0; round < ROUNDS; round++) {
        for (const { port } of inboxes)
          for (const [i, one] of senders.entries()) await send(one, `${port} ${i} ${round}`, port);
      }
      for (const inbox of inboxes) await inbox.has(senders.length * ROUNDS);
      for (const { texts, port } of inboxes) {
        for (const i of senders.keys()) {
          const own = texts.filter((text) => text.startsWith(`${port} ${i} `));
          const sent = Array.from({ length: ROUNDS }, (_, round) => `${port} ${i} ${round}`);
          if (own.join() !== sent.join()) return t.strictSame(own, sent);
        }
        if (texts.length !== senders.length * ROUNDS) return t.strictSame(texts, [], 'of others');
      }
    },
  );

  t.test(`${engine.name}: ${MANY} groups of one port each get their own`, async (t) => {
    const membership = { interface: lo, sources: [] };
    const first = await open(t, engine, { address: group(0), membership });
    const { port } = first;
    let opened = 0;
    const others = () => open(t, engine, { address: group(++opened), port, membership });
    const inboxes = [first.run(), ...(await openMany(t, MANY - 1, others))];
    const sender = await socket(t);
    sender.setMulticastInterface('127.0.0.1');
    sender.setMulticastTTL(1);
    for (let round = 0; round < 5; round++)
      for (const i of inboxes.keys()) await send(sender, `${i} ${round}`, port, group(i));
    for (const [i, inbox] of inboxes.entries()) {
      await inbox.has(5);
      t.strictSame(
        inbox.texts,
        [0, 1, 2, 3, 4].map((round) => `${i} ${round}`),
      );
    }
  });

  t.test(`${engine.name}: one that stops has what the kernel held, and the others go on`, async (t) => {
    const inboxes = await openMany(t, 10, () => open(t, engine));
    const [stopped, ...others] = inboxes as [Inbox, ...Inbox[]];
    sendMeanwhile(stopped.port, 300, 100);
    await stopped.stop();
    t.strictSame(
      stopped.texts.map(Number),
      Array.from({ length: 300 }, (_, i) => i),
    );
    const sender = await socket(t);
    for (const { port } of others) await send(sender, 'after', port);
    for (const other of others) await other.has(1);
    const again = (await open(t, engine, { port: stopped.port })).run();
    await send(sender, 'again', again.port);
    await again.has(1);
    t.equal(stopped.texts.length, 300);
  });

  t.test(`${engine.name}: all that stop at once have what the kernel held`, async (t) => {
    const inboxes = await openMany(t, 20, () => open(t, engine));
    for (const { port } of inboxes.slice(0, 5)) sendMeanwhile(port, 200, 100);
    await Promise.all(inboxes.map((inbox) => inbox.stop()));
    t.strictSame(
      inboxes.map(({ datagrams }) => datagrams.length),
      [...Array(5).fill(200), ...Array(15).fill(0)],
    );
  });

  t.test(`${engine.name}: receivers come and go`, async (t) => {
    const sender = await socket(t);
    let running: Inbox[] = [];
    for (let round = 0; round < 20; round++) {
      const inbox = (await open(t, engine)).run();
      running.push(inbox);
      for (const { port } of running) await send(sender, `${round}`, port);
      await until('all got it', () => running.every(({ texts }) => texts.at(-1) === `${round}`));
      if (round % 3 === 2) {
        await running[1]!.stop();
        running = running.filter((_, i) => i !== 1);
      }
    }
    t.ok(running.length > 5);
    t.equal(running[0]!.texts.length, 20);
  });
}

/** Opens receivers, and runs them all in one turn of the event loop. */
async function openMany(t: Test, count: number, open: () => Promise<Inbox>): Promise<Inbox[]> {
  const inboxes: Inbox[] = [];
  for (let i = 0; i < count; i++) inboxes.push(await open());
  t.comment(`${count} are open`);
  return inboxes.map((inbox) => inbox.run());
}

function group(i: number): string {
  return `239.81.${process.pid & 255}.${i + 1}`;
}

async function socket(t: Test): Promise<Socket> {
  const one = createSocket('udp4');
  await new Promise<void>((resolve) => one.bind(0, '127.0.0.1', resolve));
  t.teardown(() => one.close());
  return one;
}

function send(from: Socket, text: string, port: number, address = '127.0.0.1'): Promise<void> {
  return new Promise((resolve, reject) =>
    from.send(text, port, address, (error) => (error ? reject(error) : resolve())),
  );
}
