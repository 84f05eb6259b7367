import { BlockList } from 'node:net';
import { Batch } from 'mproxy-framing';
import { Allowed } from 'mproxy-net';
import t, { type Test } from 'tap';
import { until } from '../support/wait.js';
import { ENGINES, lo, noIpv6, open, openSender, sendAll } from './engines.js';

t.test('addresses match networks as they do in a list of node:net', async (t) => {
  const networks = ['0.0.0.0/0', '10.0.0.0/8', '10.1.2.3/32', '127.0.0.0/31', '192.168.128.0/17']
    .concat('::/0', '::1/128', 'fd00::/8', 'fe80::/10', '2001:db8:8000::/33', '2001:db8::ff/121')
    .map((text) => text.split('/') as [string, string]);
  const addresses = ['10.0.0.1', '10.1.2.3', '10.1.2.2', '127.0.0.1', '127.0.0.2', '192.168.127.1']
    .concat('192.168.200.1', '255.255.255.255', '0.0.0.0', '::', '::1', '::2', 'fd12::1', 'fe80::1')
    .concat('fec0::1', '2001:db8:7fff::1', '2001:db8:8000::1', '2001:db8::7f', '2001:db8::80');
  const type = (address: string) => (address.includes(':') ? 'ipv6' : 'ipv4');
  for (const [address, prefix] of networks) {
    const list = new BlockList();
    list.addSubnet(address, Number(prefix), type(address));
    const allowed = new Allowed([{ address, prefix: Number(prefix) }]);
    // Twice: the last accepted address is remembered.
    for (const sender of addresses)
      for (const _ of [1, 2])
        t.equal(
          allowed.hasAddress(sender),
          list.check(sender, type(sender)),
          `${sender}, ${address}/${prefix}`,
        );
  }
});

for (const engine of ENGINES) {
  const refuses = async (
    t: Test,
    on: string,
    allow: string,
    prefix: number,
    senders: [good: string, bad: string],
  ) => {
    const inbox = await open(t, engine, {
      address: on,
      family: on.includes(':') ? 6 : 4,
      allow: [
        { address: '203.0.113.0', prefix: 24 },
        { address: allow, prefix },
      ],
    });
    inbox.run();
    const [good, bad] = await Promise.all(
      senders.map((address) =>
        openSender(t, engine, inbox.port, {
          address: address.includes(':') ? '::1' : '127.0.0.1',
          bind: { address, port: 0 },
        }),
      ),
    );
    await sendAll(bad!, ['no', 'no', 'no']);
    await until('three are refused', () => inbox.receiver.counts.refused === 3);
    await sendAll(good!, ['one', 'two']);
    await inbox.has(2);
    await sendAll(bad!, ['no']);
    await until('one more is refused', () => inbox.receiver.counts.refused === 4);
    await inbox.stop();
    t.strictSame(inbox.texts, ['one', 'two']);
    const { datagrams, bytes, dropped, refused } = inbox.receiver.counts;
    t.strictSame({ datagrams, bytes, dropped, refused }, { datagrams: 2, bytes: 6, dropped: 0, refused: 4 });
  };

  t.test(`${engine.name}: datagrams of senders that are not allowed are dropped and counted`, async (t) => {
    await refuses(t, '127.0.0.1', '127.0.0.1', 32, ['127.0.0.1', '127.0.0.2']);
    await refuses(t, '127.0.0.1', '127.0.0.2', 31, ['127.0.0.3', '127.0.0.1']);
  });

  t.test(
    `${engine.name}: an IPv4 network matches IPv4 senders of a dual-stack socket`,
    { skip: noIpv6 },
    async (t) => {
      await refuses(t, '::', '127.0.0.2', 32, ['127.0.0.2', '127.0.0.1']);
      await refuses(t, '::', '127.0.0.0', 8, ['127.0.0.2', '::1']);
      await refuses(t, '::', '::1', 128, ['::1', '127.0.0.1']);
    },
  );

  t.test(`${engine.name}: what comes before the run is filtered too, empty datagrams included`, async (t) => {
    const inbox = await open(t, engine, { allow: [{ address: '127.0.0.1', prefix: 32 }] });
    const from = (address: string) => openSender(t, engine, inbox.port, { bind: { address, port: 0 } });
    await sendAll(await from('127.0.0.2'), ['no', '']);
    await sendAll(await from('127.0.0.1'), ['yes']);
    inbox.run();
    await inbox.has(1);
    await inbox.stop();
    t.strictSame(inbox.texts, ['yes']);
    t.equal(inbox.receiver.counts.refused, 2);
  });

  t.test(`${engine.name}: datagrams of a group are judged by their sender`, async (t) => {
    for (const [allow, datagrams, refused] of [
      ['127.0.0.1', ['1', '2'], 0],
      ['127.0.0.2', [], 2],
    ] as const) {
      const inbox = await open(t, engine, {
        address: '239.77.4.1',
        membership: { interface: lo, sources: [] },
        allow: [{ address: allow, prefix: 32 }],
      });
      inbox.run();
      const sender = await openSender(t, engine, inbox.port, {
        address: '239.77.4.1',
        multicast: { interface: lo, ttl: 0, loop: true },
        bind: { address: '127.0.0.1', port: 0 },
      });
      await sendAll(sender, ['1', '2']);
      const seen = () => inbox.datagrams.length + inbox.receiver.counts.refused;
      await until('both came', () => seen() === 2);
      await inbox.stop();
      t.strictSame(inbox.texts, [...datagrams]);
      t.equal(inbox.receiver.counts.refused, refused);
    }
  });
}

t.test('linux: datagrams that the kernel put together are counted one by one', async (t) => {
  const engine = ENGINES.find(({ name }) => name === 'linux')!;
  const inbox = await open(t, engine, { allow: [{ address: '127.0.0.1', prefix: 32 }] });
  const sender = await openSender(t, engine, inbox.port, { bind: { address: '127.0.0.2', port: 0 } });
  inbox.run();
  const batch = new Batch();
  batch.reset(Buffer.alloc(19 * 100 + 1));
  batch.add(0, 19 * 100 + 1, 100);
  sender.send(batch);
  await until('all are refused', () => inbox.receiver.counts.refused === 20);
  await inbox.stop();
  t.strictSame(inbox.texts, []);
});
