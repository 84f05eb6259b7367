import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect as connectTls, createServer } from 'node:tls';
import { ERRNO } from 'mproxy-net/linux/errno';
import t, { type Test } from 'tap';
import type { Pair } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { clientContext, type Driven, dial, identity, notLinux, parts, serve } from './tls-channels.js';
import { Contexts, credentials } from './tls-pairs.js';

const BYTES = 2 ** 30;
const CHUNK = 64 * 1024;
const HANDSHAKES = 10_000;
/** Growth of memory in bytes: an SSL that each connection leaves behind would be more than ten times this. */
const GROWTH = 10e6;

t.setTimeout(300_000);

/** CPU seconds of this process while it runs. */
async function cpu(run: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** Both ends in this thread, by turns. */
function transfer(from: Driven, to: Driven): void {
  const chunk = Buffer.allocUnsafeSlow(CHUNK).fill('x');
  for (let sent = 0, got = 0; got < BYTES; ) {
    let left = Math.min(CHUNK, BYTES - sent);
    while (left > 0) {
      const taken = from.send([chunk.subarray(CHUNK - left)]);
      if (taken === -ERRNO.EAGAIN) break;
      if (taken < 0) throw from.channel.error ?? new Error(`errno ${-taken}`);
      left -= taken;
      sent += taken;
    }
    for (;;) {
      const length = to.take();
      if (length === -ERRNO.EAGAIN) break;
      if (length <= 0) throw to.channel.error ?? new Error(`errno ${-length}`);
      got += length;
    }
  }
}

async function ofNode(t: Test, own: Pair, ca: string): Promise<number> {
  let got = 0;
  const server = createServer(own, (socket) =>
    socket.on('data', ({ length }) => {
      got += length;
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = connectTls({ host: '127.0.0.1', port, ca, servername: 'one.test' });
  t.teardown(() => {
    client.destroy();
    server.close();
  });
  await once(client, 'secureConnect');
  const chunk = Buffer.allocUnsafeSlow(CHUNK).fill('x');
  return cpu(async () => {
    for (let sent = 0; sent < BYTES; sent += CHUNK) if (!client.write(chunk)) await once(client, 'drain');
    await until('all is there', () => got === BYTES, 60_000);
  });
}

t.test('CPU of 1 GB, both ends, beside node:tls', { skip: notLinux }, async (t) => {
  const { authority, own } = await identity(t);
  const tls = { credentials: { ca: authority.pem }, serverName: 'one.test', insecure: false };
  let server: Driven | undefined;
  const { port } = await serve(t, { pairs: [own] }, (driven) => {
    server = driven;
  });
  const client = await dial(t, clientContext(t, tls), port, tls);
  await until('it is accepted', () => server !== undefined);
  await Promise.all([client.handshake(), server!.handshake()]);
  const mine = await cpu(() => transfer(client, server!));
  const node = await ofNode(t, own, authority.pem);
  t.comment(`channels ${mine.toFixed(2)} s, node:tls ${node.toFixed(2)} s`);
  t.ok(mine < node);
});

t.test(`${HANDSHAKES} handshakes leave nothing behind`, { skip: notLinux }, async (t) => {
  const { tls, trust } = await credentials(t);
  const contexts = new Contexts(parts(), tls, trust);
  contexts.connectAgain(HANDSHAKES / 10);
  const before = process.memoryUsage.rss();
  contexts.connectAgain(HANDSHAKES);
  const growth = process.memoryUsage.rss() - before;
  t.ok(growth < GROWTH, `memory grew by ${Math.round(growth / 1000)} KB`);
  contexts.free();
});
