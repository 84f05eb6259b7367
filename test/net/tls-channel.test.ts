import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { TlsClient } from 'mproxy-net';
import { TicketKeys } from 'mproxy-net/linux/tls/ticket-keys';
import { SessionTickets } from 'mproxy-net/linux/tls/tickets';
import t, { type Test } from 'tap';
import type { Authority } from '../support/certificates.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { tlsServer } from './connections.js';
import { clientContext, type Driven, dial, identity, notLinux, parts, relay, serve } from './tls-channels.js';

/** Both ends of a connection, with the handshake finished. */
async function pair(t: Test): Promise<{ client: Driven; server: Driven; authority: Authority }> {
  const { authority, own } = await identity(t);
  let server: Promise<Driven> | undefined;
  const { port } = await serve(t, { pairs: [own] }, (driven) => {
    server = driven.handshake();
  });
  const tls = { credentials: { ca: authority.pem }, serverName: 'one.test', insecure: false };
  const client = await dial(t, clientContext(t, tls), port, tls);
  await client.handshake();
  await until('it is accepted', () => server !== undefined);
  return { client, server: await server!, authority };
}

t.test('bytes pass both ways, and each direction ends by itself', { skip: notLinux }, async (t) => {
  const { client, server } = await pair(t);
  await client.write(Buffer.from('hel'), Buffer.alloc(0), Buffer.from('lo'));
  t.equal(String(await server.read()), 'hello');
  await client.finish();
  t.equal((await server.read()).length, 0);
  await server.write(Buffer.from('answer'));
  t.equal(String(await client.read()), 'answer');
  await server.finish();
  t.equal((await client.read()).length, 0);
  t.equal((await client.read()).length, 0, 'an end stays');
});

t.test('small vectors are one record, large ones as many as they need', { skip: notLinux }, async (t) => {
  const { client, server } = await pair(t);
  const received = async (bytes: number) => {
    const sizes: number[] = [];
    for (let got = 0; got < bytes; got += sizes.at(-1)!) sizes.push((await server.read(16_384)).length);
    return sizes;
  };
  const piece = (length: number) => Buffer.allocUnsafeSlow(length).fill('x');
  // The first 64 KB are sent in smaller ones.
  await client.write(piece(65_536));
  await received(65_536);
  for (const [lengths, records] of [
    [[1, 2, 3, 4], [10]],
    [
      [300, 40_000],
      [16_384, 16_384, 7532],
    ],
    [
      [16_384, 1],
      [16_384, 1],
    ],
    [[0, 0, 5], [5]],
    [
      [10_000, 10_000, 10_000],
      [16_384, 13_616],
    ],
  ] as [number[], number[]][]) {
    const total = lengths.reduce((sum, length) => sum + length, 0);
    t.equal(client.send(lengths.map(piece)), total);
    // Each read ends with its record, unless more records came with it.
    const sizes = await received(total);
    t.strictSame(sizes, records, String(lengths));
  }
  t.equal(client.send([]), 0);
});

t.test('received bytes that find no room are the next to be read', { skip: notLinux }, async (t) => {
  const { client, server } = await pair(t);
  await client.write(Buffer.alloc(5000, 'a'));
  t.equal((await server.read(1000)).length, 1000);
  t.equal((await server.read()).length, 4000);
});

t.test('records of one byte, both ways', { skip: notLinux }, async (t) => {
  const { client, server } = await pair(t);
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    for (let i = 0; i < 3000; i++) await from.write(Buffer.of(i));
    const chunks: Buffer[] = [];
    for (let got = 0; got < 3000; got += chunks.at(-1)!.length) chunks.push(await to.read());
    t.ok(Buffer.concat(chunks).equals(Buffer.from(Array.from({ length: 3000 }, (_, i) => i & 255))));
  }
});

t.test('a FIN without close_notify is a reset, and never the end', { skip: notLinux }, async (t) => {
  for (const what of ['after bytes', 'in a record', 'in the handshake'] as const) {
    const { authority, own } = await identity(t);
    let accepted: Driven | undefined;
    let cuts = what === 'in the handshake';
    const { port } = await serve(t, { pairs: [own] }, (server) => {
      accepted = server;
    });
    const path = await relay(t, port, (bytes, on, fromClient) => {
      if (fromClient && cuts) on.end(bytes.subarray(0, bytes.length - 5));
      else on.write(bytes);
    });
    const client = connectTls({
      host: '127.0.0.1',
      port: path.port,
      ca: authority.pem,
      servername: 'one.test',
    });
    client.on('error', () => undefined);
    await until('its peer', () => accepted !== undefined);
    const failed = { code: 'ECONNRESET', message: /without close_notify/ };
    if (what === 'in the handshake') {
      await t.rejects(accepted!.handshake(), failed, what);
    } else {
      await accepted!.handshake();
      cuts = what === 'in a record';
      client.write(Buffer.alloc(what === 'in a record' ? 1000 : 100, 'x'));
      if (what === 'after bytes') {
        t.equal((await accepted!.read()).length, 100);
        for (const socket of path.sockets) socket.end();
      }
      await t.rejects(accepted!.read(), failed, what);
      await t.rejects(accepted!.read(), failed, 'again');
      await t.rejects(accepted!.write(Buffer.from('x')), failed);
    }
    client.destroy();
  }
});

t.test('a reset is the error of the system', { skip: notLinux }, async (t) => {
  const { client, server } = await pair(t);
  client.socket.resetAndDestroy();
  await t.rejects(server.read(), { code: 'ECONNRESET', message: /call of the channel/ });
});

t.test('a forged record is an error that tells so', { skip: notLinux }, async (t) => {
  const { client, server } = await pair(t);
  client.socket.write(Buffer.from('1703030020'.padEnd(74, '0'), 'hex'));
  await t.rejects(server.read(), { code: 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC' });
  await t.rejects(client.read(), { code: /^ERR_SSL_SSL.*_ALERT_BAD_RECORD_MAC$/ });
});

t.test('what a callback throws is thrown after the call', { skip: notLinux }, async (t) => {
  const { ssl } = parts();
  let wrong = false;
  const keys = new TicketKeys(undefined, () => {
    if (wrong) throw new Error('no clock');
    return 0;
  });
  const { authority, own } = await identity(t);
  let server: Promise<unknown> | undefined;
  const { port } = await serve(
    t,
    { pairs: [own] },
    (driven) => {
      wrong = true;
      server = driven.handshake().catch((error) => error);
    },
    new SessionTickets(ssl, keys),
  );
  const client = connectTls({ host: '127.0.0.1', port, ca: authority.pem, servername: 'one.test' });
  client.on('error', () => undefined);
  await until('it fails', () => server !== undefined);
  t.match(await server, { message: 'no clock' });
  client.destroy();
});

t.test('100 MB both ways at once, in chunks of any size, with node:tls', { skip: notLinux }, async (t) => {
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  const total = 100e6;
  const { authority, own } = await identity(t);
  const source = random.bytes(1 << 20);

  /** Sends from random places, and says what it was. */
  async function flow(send: (pieces: Buffer[]) => Promise<void>): Promise<string> {
    const hash = createHash('sha256');
    for (let sent = 0; sent < total; ) {
      const pieces = Array.from({ length: random.integer(1, 5) }, () => {
        const from = random.integer(0, source.length);
        const large = random.integer(0, 3) === 0 ? 200_000 : 3000;
        return source.subarray(from, from + Math.min(random.integer(0, large), total - sent));
      });
      const bytes = Buffer.concat(pieces).subarray(0, total - sent);
      hash.update(bytes);
      sent += bytes.length;
      await send(pieces.reduce((sum, { length }) => sum + length, 0) === bytes.length ? pieces : [bytes]);
    }
    return hash.digest('hex');
  }

  async function exchange(mine: Driven, peer: TLSSocket): Promise<void> {
    const [theirs, ours] = [createHash('sha256'), createHash('sha256')];
    peer.on('data', (bytes) => theirs.update(bytes));
    const ended = once(peer, 'end');
    const [sent, , back] = await Promise.all([
      flow((pieces) => mine.write(...pieces)).then(async (hash) => {
        await mine.finish();
        return hash;
      }),
      mine.readAll((bytes) => ours.update(bytes)),
      flow(async (pieces) => {
        for (const piece of pieces) if (!peer.write(piece)) await once(peer, 'drain');
      }).then((hash) => {
        peer.end();
        return hash;
      }),
      ended,
    ]);
    t.equal(theirs.digest('hex'), sent);
    t.equal(ours.digest('hex'), back);
  }

  const tls: TlsClient = { credentials: { ca: authority.pem }, serverName: 'one.test', insecure: false };
  const { port: theirs, sockets } = await tlsServer(t, { ...own, allowHalfOpen: true });
  const client = await dial(t, clientContext(t, tls), theirs, tls);
  await client.handshake();
  await until('its peer', () => sockets.length === 1);
  await exchange(client, sockets[0]!);

  let server: Driven | undefined;
  const { port } = await serve(t, { pairs: [own] }, (driven) => {
    server = driven;
  });
  const options = { host: '127.0.0.1', port, ca: authority.pem, servername: 'one.test', allowHalfOpen: true };
  const peer = connectTls(options);
  await until('it is accepted', () => server !== undefined);
  await server!.handshake();
  await exchange(server!, peer);
});
