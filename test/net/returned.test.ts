import { chooseEngine } from 'mproxy-net';
import t from 'tap';
import { freeUdpPort, udpSend } from '../support/net.js';
import { until } from '../support/wait.js';
import { noIpv6, open, openSender, sendAll } from './engines.js';

const onLinux = process.platform !== 'linux' && 'error queues are Linux';
const { engine } = chooseEngine(process.platform === 'linux' ? 'linux' : 'node');

/** Datagrams, a few batches of them. */
const MANY = 200;
const numbers = (from: number) => Array.from({ length: MANY }, (_, i) => String(from + i));

for (const [address, place] of [
  ['127.0.0.1', '127.0.0.1'],
  ['::1', '[::1]'],
] as const) {
  for (const heard of [undefined, () => undefined]) {
    const what = `${heard ? 'an unconnected' : 'a connected'} socket to ${address}`;
    t.test(
      `linux: ${what} counts each refusal once, and loses nothing by it`,
      { skip: onLinux || (address === '::1' && noIpv6) },
      async (t) => {
        const port = await freeUdpPort();
        const sender = await openSender(t, engine, port, { address, ...(heard && { onMessage: heard }) });
        await sendAll(sender, numbers(0));
        const sent = sender.counts;
        t.strictSame([sent.datagrams, sent.dropped], [MANY, 0], 'the kernel took all of them');
        t.strictSame(sent.returned, { [`ECONNREFUSED ${place}:${port}`]: MANY });
        t.strictSame(sent.errors, { ECONNREFUSED: MANY });
        await sendAll(sender, ['refused, too']);
        const inbox = (await open(t, engine, { address, port })).run();
        await sendAll(sender, numbers(MANY));
        await inbox.has(MANY);
        t.strictSame(inbox.texts, numbers(MANY), 'what is sent after the refusals arrives');
        await sender.close();
        const { datagrams, errors } = sender.counts;
        t.strictSame(
          [datagrams, errors],
          [2 * MANY + 1, { ECONNREFUSED: MANY + 1 }],
          'still told after the end',
        );
      },
    );
  }
}

t.test('linux: two threads that read refusals count each once', { skip: onLinux }, async (t) => {
  const port = await freeUdpPort();
  const relay = await openSender(t, engine, port, { waits: false });
  const { receiver } = await open(t, engine);
  const run = receiver.run(undefined, { sockets: [relay.target!], files: [], clients: [] });
  const feeding = udpSend(
    receiver.local.port,
    numbers(0).flatMap((number) => Array(20).fill(number)),
  );
  let fed = false;
  void feeding.then(() => {
    fed = true;
  });
  // The event loop reads all the time, beside the thread that sends.
  await until('all were passed on', () => fed && relay.counts.datagrams === 20 * MANY);
  await until('all are counted', () => relay.counts.errors.ECONNREFUSED === 20 * MANY).catch(() => undefined);
  const { errors, returned, dropped } = relay.counts;
  t.strictSame([errors, dropped], [{ ECONNREFUSED: 20 * MANY }, 0]);
  t.strictSame(returned, { [`ECONNREFUSED 127.0.0.1:${port}`]: 20 * MANY });
  receiver.stop();
  await run;
});

t.test('linux: what many addresses return is told apart for some of them', { skip: onLinux }, async (t) => {
  const sender = await openSender(t, engine, await freeUdpPort(), { onMessage: () => undefined });
  const hosts = 100;
  for (let i = 1; i <= hosts; i++) sender.reply(Buffer.from('x'), { address: `127.0.1.${i}`, port: 9 });
  await until('all are counted', () => sender.replies.errors.ECONNREFUSED === hosts);
  const { returned } = sender.replies;
  t.equal(Object.keys(returned).length, 65);
  t.equal(returned['ECONNREFUSED 127.0.1.1:9'], 1);
  t.equal(returned['ECONNREFUSED others'], hosts - 64);
  t.strictSame(sender.counts.errors, {});
});
