import type { SocketAddress } from 'mproxy-base';
import type { Engine, Membership, OwnSender, Sender } from 'mproxy-net';
import t, { type Test } from 'tap';
import { freeUdpPort } from '../support/net.js';
import { ENGINES, type Inbox, lo, open, openSender, sendAll } from './engines.js';

const GROUP = { address: `239.78.${process.pid & 255}.1`, interface: lo };
const OTHER = { address: `239.78.${process.pid & 255}.2`, interface: lo };

/** Opens a receiver of a group on lo, and runs it. */
async function join(
  t: Test,
  engine: Engine,
  group: typeof GROUP,
  port: number,
  sources: string[] = [],
  ignored: OwnSender[] = [],
): Promise<Inbox> {
  const membership: Membership = { interface: group.interface, sources };
  const inbox = await open(t, engine, { address: group.address, port, membership });
  for (const own of ignored) inbox.receiver.ignore(own);
  return inbox.run();
}

/** Opens a sender to a group by lo. */
function reach(
  t: Test,
  engine: Engine,
  group: typeof GROUP,
  port: number,
  bind?: SocketAddress,
): Promise<Sender> {
  const multicast = { interface: group.interface, ttl: 1, loop: true };
  return openSender(t, engine, port, { address: group.address, multicast, ...(bind && { bind }) });
}

for (const engine of ENGINES) {
  t.test(
    `${engine.name}: several receivers of a group share its port, and each gets everything`,
    async (t) => {
      const port = await freeUdpPort();
      const members = [
        await join(t, engine, GROUP, port),
        await join(t, engine, GROUP, port),
        await join(t, engine, GROUP, port),
      ];
      const sender = await reach(t, engine, GROUP, port);
      const texts = Array.from({ length: 200 }, (_, i) => `datagram ${i}`);
      await sendAll(sender, texts);
      for (const member of members) {
        await member.has(texts.length);
        t.strictSame(member.texts, texts);
        t.strictSame(member.receiver.local, { address: GROUP.address, port });
      }
    },
  );

  t.test(`${engine.name}: another group on the same port is not received`, async (t) => {
    const port = await freeUdpPort();
    const here = await join(t, engine, GROUP, port);
    const there = await join(t, engine, OTHER, port);
    await sendAll(await reach(t, engine, OTHER, port), ['to the other']);
    await there.has(1);
    await sendAll(await reach(t, engine, GROUP, port), ['to the group']);
    await here.has(1);
    await Promise.all([here.stop(), there.stop()]);
    t.strictSame(here.texts, ['to the group']);
    t.strictSame(there.texts, ['to the other']);
  });

  t.test(`${engine.name}: unicast to the port of a group is not received`, async (t) => {
    const port = await freeUdpPort();
    const member = await join(t, engine, GROUP, port);
    await sendAll(await openSender(t, engine, port), ['unicast']);
    await sendAll(await reach(t, engine, GROUP, port), ['to the group']);
    await member.has(1);
    await member.stop();
    t.strictSame(member.texts, ['to the group']);
  });

  t.test(`${engine.name}: a group can be taken from one sender alone`, async (t) => {
    const port = await freeUdpPort();
    const wanted = await join(t, engine, GROUP, port, ['127.0.0.2']);
    const either = await join(t, engine, GROUP, port, ['127.0.0.3', '127.0.0.2']);
    for (const address of ['127.0.0.3', '127.0.0.2']) {
      const sender = await reach(t, engine, GROUP, port, { address, port: 0 });
      await sendAll(sender, [`from ${address}`]);
    }
    await Promise.all([wanted.has(1), either.has(2)]);
    await wanted.stop();
    t.strictSame(wanted.texts, ['from 127.0.0.2']);
    t.strictSame(either.texts, ['from 127.0.0.3', 'from 127.0.0.2']);
  });

  t.test(`${engine.name}: what a command sent itself can be told from the rest of its group`, async (t) => {
    const port = await freeUdpPort();
    const own = await reach(t, engine, GROUP, port);
    const addresses = lo.addresses.map(({ address }) => address);
    const member = await join(t, engine, GROUP, port, [], [{ addresses, port: own.local.port }]);
    await sendAll(own, ['own']);
    await own.close();
    await sendAll(await reach(t, engine, GROUP, port), ['of another']);
    await member.has(1);
    await member.stop();
    t.strictSame(member.texts, ['of another']);
  });
}
