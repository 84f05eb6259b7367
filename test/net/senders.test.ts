import type { SocketAddress } from 'mproxy-base';
import { Batch } from 'mproxy-framing';
import type { Engine } from 'mproxy-net';
import { encodeAddress } from 'mproxy-net/linux/layout';
import { Senders } from 'mproxy-net/linux/senders';
import t, { type Test } from 'tap';
import { lan, noNamespaces } from '../support/namespace.js';
import { freeUdpPort } from '../support/net.js';
import { Random } from '../support/random.js';
import { ENGINES, type Inbox, lo, noIpv6, open, openSender, sendAll } from './engines.js';

const GROUP = `239.79.${process.pid & 255}.1`;

/** What came, datagram by datagram, and who sent it. */
interface Told {
  text: string;
  from: SocketAddress | undefined;
  coalesced: boolean;
}

/** Runs a receiver, and remembers who sent what. */
function listen(inbox: Inbox): Told[] {
  const told: Told[] = [];
  inbox.run((batch) => {
    for (let i = 0; i < batch.count; i++) {
      const [from, end] = [batch.from[i], batch.offset[i]! + batch.length[i]!];
      const step = batch.segment[i]! || batch.length[i]!;
      for (let at = batch.offset[i]!; at < end; at += step) {
        const text = batch.slab.toString('latin1', at, Math.min(at + 6, end)).trimEnd();
        told.push({ text, from, coalesced: batch.segment[i]! > 0 });
      }
    }
  });
  return told;
}

/** Every datagram says which port sent it: whether that is what was told. */
function check(t: Test, told: Told[], address: string): void {
  const wrong = told.find(({ text, from }) => from?.address !== address || text !== String(from.port));
  t.equal(wrong, undefined, 'the first that is told of another');
  const twins = told.filter(({ from }, i) => i > 0 && from?.port === told[i - 1]?.from?.port);
  const different = told.findIndex(
    ({ from }, i) => i > 0 && from?.port === told[i - 1]!.from?.port && from !== told[i - 1]!.from,
  );
  t.equal(different, -1, `one object for equal senders in a row (${twins.length})`);
}

/** Opens senders to a port, and returns what sends so many datagrams of a size from one of them. */
async function crowd(t: Test, engine: Engine, count: number, port: number, options: Options) {
  const bind = { address: options.from ?? options.address ?? '127.0.0.1', port: 0 };
  const { from: _, ...rest } = options;
  const senders = await Promise.all(
    Array.from({ length: count }, () => openSender(t, engine, port, { ...rest, bind })),
  );
  return (which: number, many: number, size: number) => {
    const sender = senders[which]!;
    return sendAll(sender, Array(many).fill(`${sender.local.port} `.padEnd(size)));
  };
}
type Options = Parameters<typeof openSender>[3] & { from?: string };

for (const engine of ENGINES) {
  for (const address of ['127.0.0.1', '::1']) {
    const skip = address === '::1' && noIpv6;
    t.test(`${engine.name} ${address}: each datagram's sender is told, many in turn`, { skip }, async (t) => {
      const random = new Random();
      t.comment(`SEED=${random.seed}`);
      const inbox = await open(t, engine, { address, tellsSenders: true });
      const send = await crowd(t, engine, 20, inbox.port, { address });
      for (let i = 0; i < 5; i++) await send(i % 2, 1, 10);
      const told = listen(inbox);
      let sent = 5;
      for (let i = 0; i < 400; i++) {
        const many = random.integer(1, 3);
        await send(random.integer(0, 19), many, random.integer(8, 300));
        sent += many;
        if (i % 50 === 49) await inbox.has(sent);
      }
      check(t, told, address);
      t.equal(new Set(told.map(({ from }) => from)).size, 20, 'one object for each');
    });

    t.test(`${engine.name} ${address}: senders are told of more than the ring holds`, { skip }, async (t) => {
      const inbox = await open(t, engine, { address, tellsSenders: true });
      const told = listen(inbox);
      const send = await crowd(t, engine, 3, inbox.port, { address });
      for (let round = 0; round < 100; round++) {
        for (let which = 0; which < 3; which++) await send(which, 2, 20_000 + round);
        await inbox.has(6 * (round + 1));
      }
      check(t, told, address);
    });
  }

  t.test(
    `${engine.name}: an IPv4 sender to an IPv6 wildcard is told as IPv4`,
    { skip: noIpv6 },
    async (t) => {
      const inbox = await open(t, engine, { address: '::', tellsSenders: true });
      const told = listen(inbox);
      await (await crowd(t, engine, 1, inbox.port, {}))(0, 2, 10);
      await inbox.has(2);
      check(t, told, '127.0.0.1');
    },
  );

  t.test(`${engine.name}: senders to a group are told`, async (t) => {
    const port = await freeUdpPort();
    const membership = { interface: lo, sources: [] };
    const inbox = await open(t, engine, { address: GROUP, port, membership, tellsSenders: true });
    const told = listen(inbox);
    const multicast = { interface: lo, ttl: 1, loop: true };
    const send = await crowd(t, engine, 2, port, { address: GROUP, multicast, from: '127.0.0.1' });
    for (let i = 0; i < 20; i++) await send(i % 2, 1, 10 + i);
    await inbox.has(20);
    check(t, told, '127.0.0.1');
  });

  t.test(`${engine.name}: who did not ask is told nothing`, async (t) => {
    const inbox = await open(t, engine);
    const told = listen(inbox);
    await sendAll(await openSender(t, engine, inbox.port), ['a', 'b']);
    await inbox.has(2);
    t.strictSame(
      told.map(({ from }) => from),
      [undefined, undefined],
    );
  });
}

const batches = ENGINES.filter(({ name }) => name === 'linux');
for (const engine of batches) {
  t.test(`${engine.name}: one sender is told for an entry of several datagrams`, async (t) => {
    const inbox = await open(t, engine, { tellsSenders: true });
    const told = listen(inbox);
    const senders = await Promise.all([0, 1].map(() => openSender(t, engine, inbox.port)));
    const batch = new Batch();
    for (let i = 0; i < 50; i++) {
      const sender = senders[i % 2]!;
      batch.reset(Buffer.from(`${sender.local.port} `.padEnd(500).repeat(7)));
      batch.addRun(0, 500, 7);
      sender.send(batch);
      await sender.room();
    }
    await inbox.has(350);
    check(t, told, '127.0.0.1');
    t.ok(
      told.some(({ coalesced }) => coalesced),
      'some came together',
    );
  });
}

/** A socket address as the kernel leaves it: behind IPv4's lies what was there before. */
function nameWords(address: string, port: number, before: number): Uint32Array {
  const words = new Uint32Array(7).fill(before);
  Buffer.from(words.buffer).set(encodeAddress(address, port));
  // What ip(7) calls sin_zero is not always that.
  if (address.includes('.')) words.fill(before, 2);
  return words;
}

t.test(
  'more senders than are remembered are told apart, and equal ones in a row are one object',
  async (t) => {
    const senders = new Senders(String);
    for (let i = 0; i < 20_000; i++) {
      const address =
        i % 2 === 0 ? `10.0.${(i >> 8) & 255}.${i & 255}` : `2001:db8::${(i % 5000).toString(16)}`;
      const port = 1 + (i % 3);
      const told = senders.of(nameWords(address, port, i), 0);
      if (told.address !== address || told.port !== port) return t.strictSame(told, { address, port });
      if (senders.of(nameWords(address, port, i + 1), 0) !== told)
        return t.fail(`${address} is two in a row`);
    }
  },
);

for (const engine of ENGINES) {
  t.test(`${engine.name}: a link-local sender is told with its zone`, { skip: noNamespaces }, async (t) => {
    const [host] = lan(t, 1).hosts;
    const script = `
      import { chooseEngine, listInterfaces } from 'mproxy-net';
      const { engine } = chooseEngine('${engine.name}');
      const addresses = listInterfaces().find(({ name }) => name === 'eth0').addresses;
      const address = addresses.find(({ address }) => address.startsWith('fe80')).address + '%eth0';
      const notice = console.error;
      const told = [];
      const options = { family: 6, address: '::', port: 0, receiveBuffer: 65536, notice, tellsSenders: true };
      const receiver = await engine.openReceiver(options);
      const ended = receiver.run(({ from }) => {
        told.push(from[0]);
        if (told.length === 2) receiver.stop();
      });
      const heard = (bytes, from) => {
        exchange.send(bytes, from);
        exchange.send(bytes, { address, port: receiver.local.port });
      };
      const exchange = await engine.openRequestSocket({ family: 6, receiveBuffer: 65536, onMessage: heard });
      const bind = { address, port: 0 };
      const peer = await engine.openRequestSocket({ family: 6, bind, receiveBuffer: 65536, onMessage(bytes, from) {
        told.push(from);
        if (told.length === 2) receiver.stop();
      } });
      peer.send(Buffer.from('x'), { address, port: exchange.local.port });
      const giveUp = setTimeout(() => process.exit(3), 10_000);
      await ended;
      exchange.close();
      peer.close();
      clearTimeout(giveUp);
      console.log(JSON.stringify([address, told]));`;
    const printed = host!.run(process.execPath, '--input-type=module', '-e', script);
    const [address, told] = JSON.parse(printed) as [string, SocketAddress[]];
    t.match(address, /^fe80::.*%eth0$/);
    t.strictSame(
      told.map((from) => from.address),
      [address, address],
    );
  });
}
