import { createSocket, type Socket } from 'node:dgram';
import t from 'tap';
import { freeUdpPort, udpSend } from '../support/net.js';
import { until } from '../support/wait.js';
import { ENGINES, noIpv6, open, openSender, sendAll, sendMeanwhile } from './engines.js';

const onLinux = process.platform !== 'linux' && 'the kernel tells what it dropped on Linux alone';

for (const engine of ENGINES) {
  t.test(`${engine.name}: what nobody receives is counted as refused, and sending goes on`, async (t) => {
    const sender = await openSender(t, engine, await freeUdpPort());
    await sendAll(sender, ['a', 'b', 'c']);
    await until('a refusal is counted', () => (sender.counts.errors.ECONNREFUSED ?? 0) > 0);
    await sender.close();
    t.strictSame(Object.keys(sender.counts.errors), ['ECONNREFUSED']);
    t.equal(sender.counts.dropped, 0);
  });

  t.test(`${engine.name}: a refusal costs nothing that is sent after the receiver is back`, async (t) => {
    const rounds = 20;
    let refused = 0;
    for (let round = 0; round < rounds; round++) {
      const port = await freeUdpPort();
      const sender = await openSender(t, engine, port);
      await sendAll(sender, ['to nobody']);
      // In the same turn of the event loop: the refusal is pending, and the next send is the first to meet it.
      const { socket, heard } = bindAtOnce(port);
      await sendAll(sender, ['1', '2', '3']);
      await until('all came', () => heard.length >= 3).catch(() => undefined);
      refused += sender.counts.errors.ECONNREFUSED ?? 0;
      await sender.close();
      socket.close();
      if (heard.join('') !== '123') return t.strictSame(heard, ['1', '2', '3'], `round ${round}`);
    }
    t.equal(refused, rounds, 'each refusal was counted, once');
  });

  t.test(
    `${engine.name}: what the kernel drops from a receiver that does not read is counted`,
    { skip: onLinux },
    async (t) => {
      const inbox = await open(t, engine, { receiveBuffer: 16_384 });
      const beside = await open(t, engine);
      t.equal(inbox.receiver.counts.kernelDropped, 0);
      const sent = 200;
      sendMeanwhile(inbox.port, sent, 1000);
      const dropped = inbox.receiver.counts.kernelDropped!;
      await inbox.run().stop();
      t.ok(dropped > 0 && inbox.datagrams.length > 0, `${dropped} of ${sent} dropped`);
      t.equal(inbox.datagrams.length + dropped, sent, 'every datagram was delivered or counted');
      t.equal(inbox.receiver.counts.kernelDropped, dropped, 'still told after the end');
      t.equal(beside.receiver.counts.kernelDropped, 0, 'not of another socket');
    },
  );

  t.test(
    `${engine.name}: what comes before the run is kept up to the granted buffer, in order; the rest is counted`,
    { skip: onLinux },
    async (t) => {
      const inbox = await open(t, engine, { receiveBuffer: 65_536 });
      const counts = () => inbox.receiver.counts;
      // Each part fits the kernel's buffer, which the node engine empties while this waits.
      const parts = 20;
      const sent = 10 * parts;
      for (let part = 0; part < parts; part++) {
        const numbers = Array.from({ length: 10 }, (_, i) => String(10 * part + i).padEnd(1000));
        await udpSend(inbox.port, numbers);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await inbox.run().stop();
      const dropped = counts().dropped + counts().kernelDropped!;
      t.equal(counts().datagrams + dropped, sent, 'every datagram was delivered or counted');
      // The kernel counts up to 2,304 bytes for one of 1,000, and allows twice of what it grants (socket(7)).
      const most = 65_536 / (1000 + 512);
      t.ok(counts().datagrams <= 2 * most && counts().datagrams >= most / 2, `${counts().datagrams} kept`);
      t.strictSame(
        inbox.texts.map(Number),
        Array.from({ length: counts().datagrams }, (_, i) => i),
        'the first of them, in order',
      );
    },
  );

  t.test(`${engine.name}: the buffer that was granted is told`, { skip: onLinux }, async (t) => {
    const small = await open(t, engine, { receiveBuffer: 65_536 });
    t.equal(small.receiver.receiveBuffer, 65_536);
    const sender = await openSender(t, engine, small.port, { sendBuffer: 65_536 });
    t.equal(sender.sendBuffer, 65_536);
  });

  t.test(`${engine.name}: stopping delivers what the kernel holds`, async (t) => {
    const inbox = (await open(t, engine)).run();
    const sent = 300;
    sendMeanwhile(inbox.port, sent, 100);
    await inbox.stop();
    const numbers = inbox.texts.map(Number);
    t.strictSame(
      numbers,
      Array.from({ length: sent }, (_, i) => i),
    );
  });

  t.test(
    `${engine.name}: a relay counts a datagram that is too big, and goes on`,
    { skip: noIpv6 },
    async (t) => {
      const target = (await open(t, engine)).run();
      const relay = await openSender(t, engine, target.port, { waits: false });
      const middle = await open(t, engine, { address: '::1' });
      const relayed = middle.receiver.run((batch) => {
        relay.send(batch);
        return undefined;
      });
      const sender = await openSender(t, engine, middle.port, { address: '::1' });
      await sendAll(sender, ['before', Buffer.alloc(65_527), Buffer.alloc(65_507, 'x'), 'after']);
      await target.has(3);
      t.strictSame(
        target.datagrams.map(({ length }) => length),
        [6, 65_507, 5],
      );
      t.strictSame(relay.counts.errors, { EMSGSIZE: 1 });
      t.equal(relay.counts.datagrams, 3);
      middle.receiver.stop();
      await relayed;
    },
  );

  t.test(`${engine.name}: a stream is sent in smaller pieces where the kernel takes no more`, async (t) => {
    const target = (await open(t, engine)).run();
    const sender = await openSender(t, engine, target.port);
    const lines = Buffer.from('0123456789abcde\n'.repeat(4096));
    await sendAll(sender, ['before', lines, Buffer.alloc(65_536, 'x'), 'after']);
    await target.has(6);
    t.ok(Buffer.concat(target.datagrams.slice(1, 3)).equals(lines), 'every byte');
    t.equal(target.datagrams[1]!.at(-1), 0x0a, 'cut behind a newline');
    t.strictSame(target.texts[5], 'after');
    t.strictSame(sender.counts.errors, {}, 'and nothing is lost');
  });

  t.test(
    `${engine.name}: a relay that cannot send fast enough drops and counts, a stream waits`,
    async (t) => {
      const target = (await open(t, engine, { receiveBuffer: 65_536 })).run();
      const datagram = Buffer.alloc(50_000, 'x');
      const relay = await openSender(t, engine, target.port, { waits: false });
      void sendAll(relay, Array(100).fill(datagram));
      await relay.close();
      t.equal(relay.counts.datagrams + relay.counts.dropped, 100, `dropped ${relay.counts.dropped}`);
      // What the kernel took has come, or was dropped at the receiver, whose buffer is small.
      const { counts } = target.receiver;
      t.type(counts.kernelDropped, process.platform === 'linux' ? 'number' : 'undefined');
      if (counts.kernelDropped !== undefined) {
        const ended = () => target.datagrams.length + target.receiver.counts.kernelDropped!;
        await until('all that was sent is accounted for', () => ended() === relay.counts.datagrams);
      }
      const stream = await openSender(t, engine, target.port);
      await sendAll(stream, Array(100).fill(datagram));
      await stream.close();
      t.strictSame([stream.counts.datagrams, stream.counts.dropped], [100, 0]);
    },
  );
}

/** Binds without a look-up, so that the socket is bound when this returns. */
function bindAtOnce(port: number): { socket: Socket; heard: string[] } {
  const heard: string[] = [];
  const socket = createSocket({
    type: 'udp4',
    lookup: (host, _options, callback) => callback(null, host, 4),
  });
  socket.on('message', (message) => heard.push(String(message)));
  socket.bind({ port, address: '127.0.0.1', exclusive: true });
  return { socket, heard };
}
