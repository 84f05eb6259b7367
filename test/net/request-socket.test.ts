import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { SocketAddress } from 'mproxy-base';
import type { Engine } from 'mproxy-net';
import t, { type Test } from 'tap';
import { freeUdpPort } from '../support/net.js';
import { until } from '../support/wait.js';
import { ENGINES, noIpv6, open } from './engines.js';

/** Opens an exchange that remembers what it heard. */
async function openRequestSocket(t: Test, engine: Engine, family: 4 | 6, bind?: SocketAddress) {
  const heard: [text: string, from: SocketAddress][] = [];
  const exchange = await engine.openRequestSocket({
    family,
    ...(bind && { bind }),
    receiveBuffer: 65_536,
    onMessage: (bytes, from) => void heard.push([String(bytes), from]),
  });
  t.teardown(() => exchange.close());
  return { exchange, heard };
}

for (const engine of ENGINES) {
  for (const [family, address, any] of [
    [4, '127.0.0.1', '0.0.0.0'],
    [6, '::1', '::'],
  ] as const) {
    const skip = family === 6 && noIpv6;
    t.test(
      `${engine.name} ${address}: exchanges hear each other, from one port each`,
      { skip },
      async (t) => {
        const here = await openRequestSocket(t, engine, family);
        const there = await openRequestSocket(t, engine, family, { address, port: 0 });
        const third = await openRequestSocket(t, engine, family, { address, port: 0 });
        t.equal(here.exchange.local.address, any);
        t.equal(there.exchange.local.address, address);
        t.ok(here.exchange.local.port > 0 && there.exchange.local.port > 0);
        const bytes = Buffer.from('question');
        for (const to of [there, third, there]) here.exchange.send(bytes, to.exchange.local);
        bytes.fill('x');
        await until('they are heard', () => there.heard.length === 2 && third.heard.length === 1);
        const from = { address, port: here.exchange.local.port };
        t.strictSame(there.heard, Array(2).fill(['question', from]));
        t.equal(there.heard[0]![1], there.heard[1]![1], 'one object for equal senders in a row');
        there.exchange.send(Buffer.from(''), there.heard[0]![1]);
        there.exchange.send(Buffer.alloc(60_000, 'y'), from);
        await until('the answers are heard', () => here.heard.length === 2);
        t.strictSame(here.heard, [
          ['', there.exchange.local],
          ['y'.repeat(60_000), there.exchange.local],
        ]);
        await until('all are counted', () => there.exchange.counts.datagrams === 2);
        t.strictSame(here.exchange.counts, { datagrams: 3, bytes: 24, dropped: 0, errors: {}, returned: {} });
      },
    );
  }

  t.test(
    `${engine.name}: the buffer that was granted is told`,
    { skip: process.platform !== 'linux' && 'others round it' },
    async (t) => {
      const { exchange } = await openRequestSocket(t, engine, 4);
      t.equal(exchange.receiveBuffer, 65_536);
    },
  );

  t.test(`${engine.name}: its port is its own`, async (t) => {
    const { exchange } = await openRequestSocket(t, engine, 4, { address: '127.0.0.1', port: 0 });
    await t.rejects(openRequestSocket(t, engine, 4, exchange.local), { code: 'EADDRINUSE' });
    await t.rejects(open(t, engine, exchange.local), { code: 'EADDRINUSE' });
    const sharing = createSocket({ type: 'udp4', reuseAddr: true });
    t.teardown(() => sharing.close());
    sharing.bind(exchange.local);
    const [error] = await Promise.race([once(sharing, 'error'), once(sharing, 'listening')]);
    t.match(error, { code: 'EADDRINUSE' }, 'who would share it, neither');
  });

  t.test(`${engine.name}: an own address that this host does not have is refused`, async (t) => {
    const bind = { address: '192.0.2.77', port: 0 };
    await t.rejects(openRequestSocket(t, engine, 4, bind), { code: 'EADDRNOTAVAIL' });
  });

  t.test(`${engine.name}: nothing is heard or sent once it is closed`, async (t) => {
    const port = await freeUdpPort();
    const { exchange, heard } = await openRequestSocket(t, engine, 4, { address: '127.0.0.1', port });
    const peer = await openRequestSocket(t, engine, 4);
    exchange.close();
    exchange.close();
    const later = (await open(t, engine, { port })).run();
    peer.exchange.send(Buffer.from('late'), { address: '127.0.0.1', port });
    await later.has(1);
    exchange.send(Buffer.from('late'), { address: '127.0.0.1', port: peer.exchange.local.port });
    t.strictSame([heard, peer.heard], [[], []]);
    t.equal(exchange.counts.dropped, 1);
  });

  t.test(`${engine.name}: what is sent to nobody harms nothing`, async (t) => {
    const { exchange } = await openRequestSocket(t, engine, 4);
    const peer = await openRequestSocket(t, engine, 4);
    const nobody = await freeUdpPort();
    exchange.send(Buffer.from('a'), { address: '127.0.0.1', port: nobody });
    exchange.send(Buffer.from('b'), { address: '127.0.0.1', port: 0 });
    exchange.send(Buffer.from('c'), { address: '127.0.0.1', port: peer.exchange.local.port });
    await until('it is heard', () => peer.heard.length === 1);
    await until('all are counted', () => exchange.counts.datagrams === 2);
    const { errors, returned } = exchange.counts;
    // The node engine is not told what an unconnected socket's datagrams met.
    const refusal = engine.name === 'linux' && [`ECONNREFUSED 127.0.0.1:${nobody}`, 1];
    t.strictSame(Object.entries(returned), refusal ? [refusal] : []);
    t.strictSame(errors, { EINVAL: 1, ...(refusal && { ECONNREFUSED: 1 }) });
  });

  t.test(`${engine.name}: what is closed does not keep the process alive`, async (t) => {
    const script = `
      import { chooseEngine } from 'mproxy-net';
      const { engine } = chooseEngine('${engine.name}');
      const heard = () => {};
      const exchange = await engine.openRequestSocket({ family: 4, receiveBuffer: 65536, onMessage: heard });
      const to = { address: '127.0.0.1', port: exchange.local.port };
      const rest = { family: 4, broadcast: false, sendBuffer: 65536, waits: true, notice() {} };
      const sender = await engine.openSender({ ...to, ...rest, onMessage: heard });
      sender.reply(Buffer.from('x'), to);
      exchange.send(Buffer.from('x'), { ...to, port: sender.local.port });
      exchange.close();
      await sender.close();
      console.log('closed');`;
    const options = { encoding: 'utf8', timeout: 20_000, env: { ...process.env, NODE_OPTIONS: '' } } as const;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], options);
    t.strictSame([child.status, child.signal, child.stdout, child.stderr], [0, null, 'closed\n', '']);
  });
}
