import t, { type Test } from 'tap';
import { inParts } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { ENGINES, noIpv6, open, openSender, sendAll } from './engines.js';

const BOTH = ['127.0.0.1', '::1'];

for (const engine of ENGINES) {
  const test = (what: string, body: (t: Test, address: string) => Promise<void>) => {
    for (const address of BOTH) {
      const skip = address === '::1' && noIpv6;
      t.test(`${engine.name} ${address}: ${what}`, { skip }, (t) => body(t, address));
    }
  };

  test('datagrams keep their order and their boundaries', async (t, address) => {
    const random = new Random();
    t.comment(`SEED=${random.seed}`);
    const inbox = (await open(t, engine, { address })).run();
    const sender = await openSender(t, engine, inbox.port, { address });
    const datagrams = Array.from({ length: 1000 }, (_, i) =>
      Buffer.concat([Buffer.from(`${i} `), random.bytes(random.integer(0, 300))]),
    );
    await inParts(
      datagrams,
      (part) => sendAll(sender, part),
      (count) => inbox.datagrams.length >= count,
    );
    const same = inbox.datagrams.findIndex((datagram, i) => !datagram.equals(datagrams[i]!));
    t.equal(same, -1, 'the first that differs');
    await until('all are counted', () => sender.counts.datagrams === datagrams.length);
    t.equal(sender.counts.bytes, Buffer.concat(datagrams).length);
    t.strictSame([sender.counts.dropped, sender.counts.errors], [0, {}]);
    t.equal(inbox.datagrams.length, datagrams.length, 'none came twice');
  });

  test('an empty datagram is a datagram', async (t, address) => {
    const inbox = (await open(t, engine, { address })).run();
    const sender = await openSender(t, engine, inbox.port, { address });
    await sendAll(sender, ['', 'a', '', '', 'b', '']);
    await inbox.has(6);
    t.strictSame(inbox.texts, ['', 'a', '', '', 'b', '']);
    await until('all are counted', () => sender.counts.datagrams === 6);
    t.equal(sender.counts.bytes, 2);
  });

  test('the largest datagram passes', async (t, address) => {
    const most = address === '::1' ? 65_527 : 65_507;
    const largest = Buffer.alloc(most, 'abcdefg');
    const inbox = (await open(t, engine, { address })).run();
    const sender = await openSender(t, engine, inbox.port, { address });
    await sendAll(sender, [largest, 'end']);
    await inbox.has(2);
    t.equal(inbox.datagrams[0]!.length, most);
    t.ok(inbox.datagrams[0]!.equals(largest));
    t.equal(inbox.texts[1], 'end');
  });

  test('closing sends what waits', async (t, address) => {
    const inbox = (await open(t, engine, { address })).run();
    const sender = await openSender(t, engine, inbox.port, { address });
    const sending = sendAll(sender, Array(60).fill('x'.repeat(1000)));
    await sender.close();
    await sending;
    await inbox.has(60);
    t.equal(sender.counts.datagrams, 60);
  });

  test('a sender tells where it sends from, and can be bound', async (t, address) => {
    const first = await openSender(t, engine, 9, { address, bind: { address, port: 0 } });
    t.ok(first.local.port > 0);
    t.equal(first.local.address, address);
    const inbox = (await open(t, engine, { address })).run();
    const other = await open(t, engine, { address });
    const bind = { address, port: first.local.port };
    other.receiver.ignore({ addresses: [address], port: bind.port });
    other.run();
    await first.close();
    const second = await openSender(t, engine, inbox.port, { address, bind });
    const third = await openSender(t, engine, other.port, { address, bind });
    t.strictSame([second.local, third.local], [bind, bind], 'two destinations from one own port');
    await sendAll(third, ['ignored']);
    await sendAll(second, ['by 2']);
    await inbox.has(1);
    const stranger = await openSender(t, engine, other.port, { address });
    await sendAll(stranger, ['heard']);
    await other.has(1);
    t.strictSame(other.texts, ['heard'], 'what the ignored socket sent is not delivered');
  });

  test('a port in use is refused, and an address of another host too', async (t, address) => {
    const inbox = await open(t, engine, { address });
    await t.rejects(open(t, engine, { address, port: inbox.port }), { code: 'EADDRINUSE' });
    const elsewhere = address === '::1' ? '2001:db8::7' : '192.0.2.77';
    await t.rejects(open(t, engine, { address: elsewhere }), { code: 'EADDRNOTAVAIL' });
  });

  t.test(
    `${engine.name}: a wildcard of IPv6 takes IPv4 too, unless told not to`,
    { skip: noIpv6 },
    async (t) => {
      const both = (await open(t, engine, { address: '::' })).run();
      await sendAll(await openSender(t, engine, both.port), ['four']);
      await sendAll(await openSender(t, engine, both.port, { address: '::1' }), ['six']);
      await both.has(2);
      t.strictSame(both.texts.sort(), ['four', 'six']);
      const six = (await open(t, engine, { address: '::', ipv6Only: true })).run();
      const four = (await open(t, engine, { address: '0.0.0.0', port: six.port })).run();
      await sendAll(await openSender(t, engine, six.port), ['four']);
      await sendAll(await openSender(t, engine, six.port, { address: '::1' }), ['six']);
      await Promise.all([four.has(1), six.has(1)]);
      t.strictSame([four.texts, six.texts], [['four'], ['six']]);
    },
  );

  t.test(
    `${engine.name}: an IPv4 peer of an IPv6 wildcard is ignored by its IPv4 address`,
    { skip: noIpv6 },
    async (t) => {
      const inbox = await open(t, engine, { address: '::' });
      const sender = await openSender(t, engine, inbox.port);
      inbox.receiver.ignore({ addresses: ['127.0.0.1'], port: sender.local.port });
      inbox.run();
      await sendAll(sender, ['ignored']);
      await sendAll(await openSender(t, engine, inbox.port), ['heard']);
      await inbox.has(1);
      t.strictSame(inbox.texts, ['heard']);
    },
  );
}
