import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { ENGINES, noIpv6, open } from './engines.js';

/** A sender with a port of its own. */
async function sender(t: Test, address: string) {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  t.teardown(() => socket.close());
  const from: AddressInfo = socket.address();
  const send = async (port: number, datagrams: string[]) => {
    for (const datagram of datagrams)
      await new Promise((resolve) => socket.send(datagram, port, address, resolve));
  };
  return { from: { address: from.address, port: from.port }, send };
}

for (const engine of ENGINES) {
  for (const address of ['127.0.0.1', '::1']) {
    const skip = address === '::1' && noIpv6;
    t.test(
      `${engine.name}: empty datagrams to ${address} are counted, with their sender`,
      { skip },
      async (t) => {
        const inbox = (await open(t, engine, { address })).run();
        const [one, two] = [await sender(t, address), await sender(t, address)];
        await one.send(inbox.port, ['a', 'b', 'c']);
        await inbox.has(3);
        t.equal(inbox.receiver.counts.empty, 0);
        t.equal(inbox.receiver.emptyFrom, undefined);
        await one.send(inbox.port, ['', 'd', '', '']);
        await inbox.has(7);
        t.equal(inbox.receiver.counts.empty, 3);
        t.strictSame(inbox.receiver.emptyFrom, one.from);
        await two.send(inbox.port, ['']);
        await one.send(inbox.port, ['e']);
        await inbox.has(9);
        await inbox.stop();
        t.strictSame(inbox.receiver.emptyFrom, two.from);
        const { datagrams, bytes, empty } = inbox.receiver.counts;
        t.strictSame({ datagrams, bytes, empty }, { datagrams: 9, bytes: 5, empty: 4 });
        t.strictSame(inbox.texts, ['a', 'b', 'c', '', 'd', '', '', '', 'e'], 'they are delivered');
      },
    );
  }
}
