import { readFileSync } from 'node:fs';
import { ERRNO } from 'mproxy-net/linux/errno';
import type { Openssl } from 'mproxy-net/linux/tls/openssl';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import { notLinux, parts } from './tls-channels.js';
import { Contexts, closePair, connectedPair } from './tls-pairs.js';

const HANDSHAKES = 10_000;
/** Growth of memory after the first tenth, in bytes: an SSL leaked by each connection would be 50 MB. */
const GROWTH = 10e6;
/** Idle connections whose memory is measured, and its bound for one end, in bytes. */
const IDLE = 1000;
const IDLE_MEMORY = 36 * 1024;

/** What makes an object, or takes a reference, and what gives it back. */
const COUNTED = [
  ['SSL_new', 'SSL_free'],
  ['SSL_CTX_new', 'SSL_CTX_free'],
  ['BIO_new_mem_buf', 'BIO_free'],
  ['PEM_read_bio_X509', 'X509_free'],
  ['PEM_read_bio_PrivateKey', 'EVP_PKEY_free'],
] as const;

/** OpenSSL, with a count of the objects of each kind that are not freed. */
function counting(ssl: Openssl): { ssl: Openssl; open: Map<string, number> } {
  const counted = { ...ssl };
  const open = new Map<string, number>();
  for (const [make, free] of COUNTED) {
    open.set(make, 0);
    const add = (more: number) => open.set(make, open.get(make)! + more);
    counted[make] = (...values) => {
      const address = ssl[make](...values);
      if (address !== 0) add(1);
      return address;
    };
    counted[free] = (...values) => {
      add(-1);
      return ssl[free](...values);
    };
  }
  return { ssl: counted, open };
}

const residentBytes = () => Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * 4096;

async function credentials(t: Parameters<typeof Authority.make>[0]) {
  const authority = await Authority.make(t);
  const own = await authority.sign({ dns: ['one.test'] });
  const mine = await authority.sign({ dns: ['me.test'] });
  const tls = {
    pairs: [own, await authority.sign({ dns: ['two.test'] })],
    clientCa: authority.pem,
    alpn: ['echo'],
  };
  const trust = {
    credentials: { ca: authority.pem, pair: mine },
    serverName: 'two.test',
    insecure: false,
    alpn: ['echo'],
  };
  return { authority, tls, trust };
}

t.test(`${HANDSHAKES} handshakes leave nothing behind`, { skip: notLinux, timeout: 200_000 }, async (t) => {
  const { ssl, open } = counting(parts().ssl);
  const { tls, trust } = await credentials(t);
  const contexts = new Contexts({ ...parts(), ssl }, tls, trust);
  const memory = Buffer.allocUnsafeSlow(1024);
  const fds = connectedPair();
  let resumed = 0;
  let before = 0;
  for (let i = 0; i < HANDSHAKES; i++) {
    const { server, client } = contexts.connect(fds);
    // The tickets: what is left in the sockets would be read by the next connection.
    if (client.receive(parts().libc.address(memory), memory.length) !== -ERRNO.EAGAIN) t.fail('bytes');
    if (server.facts.resumed) resumed++;
    server.free();
    client.free();
    server.free();
    if (i === HANDSHAKES / 10) before = residentBytes();
    // One in ten is resumed only partly: a fresh context has no sessions.
    if (i % 1000 === 999) await new Promise((resolve) => setImmediate(resolve));
  }
  const growth = residentBytes() - before;
  t.ok(growth < GROWTH, `memory grew by ${Math.round(growth / 1000)} KB`);
  t.ok(resumed > HANDSHAKES / 2, `${resumed} were resumed`);
  t.equal(open.get('SSL_new'), 0);
  contexts.free();
  closePair(fds);
  t.strictSame(
    [...open.values()],
    COUNTED.map(() => 0),
    'what was made was freed',
  );
});

t.test('failures and replaced contexts leave nothing behind', { skip: notLinux }, async (t) => {
  const { ssl, open } = counting(parts().ssl);
  const { authority, tls, trust } = await credentials(t);
  const broken = { ...tls, pairs: [...tls.pairs, { cert: authority.pem, key: tls.pairs[0]!.key }] };
  t.throws(() => new Contexts({ ...parts(), ssl }, broken, trust), /key values mismatch/);
  const contexts = new Contexts({ ...parts(), ssl }, tls, { ...trust, serverName: 'three.test' });
  const fds = connectedPair();
  t.throws(() => contexts.connect(fds), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  closePair(fds);
  const other = connectedPair();
  const open3 = () => ({ server: contexts.server.accept(other[0]), again: contexts.server.accept(other[0]) });
  const { server, again } = open3();
  contexts.free();
  server.free();
  t.ok(open.get('SSL_CTX_new')! > 0, 'a channel keeps its context');
  again.free();
  closePair(other);
  t.equal(open.get('BIO_new_mem_buf'), 0);
  t.equal(open.get('PEM_read_bio_X509'), 0);
  t.equal(open.get('PEM_read_bio_PrivateKey'), 0);
});

t.test('a freed channel does nothing', { skip: notLinux }, async (t) => {
  const { tls, trust } = await credentials(t);
  const contexts = new Contexts(parts(), tls, trust);
  const fds = connectedPair();
  const { server, client } = contexts.connect(fds);
  server.free();
  const memory = Buffer.allocUnsafeSlow(128);
  const address = parts().libc.address(memory);
  const calls = [server.handshake(), server.receive(address, 128), server.send(address, 0), server.finish()];
  t.strictSame(calls, Array(4).fill(-ERRNO.EBADF));
  t.equal(server.pending, false);
  client.free();
  contexts.free();
  closePair(fds);
});

t.test('memory of an idle channel', { skip: notLinux }, async (t) => {
  const { tls, trust } = await credentials(t);
  const contexts = new Contexts(parts(), tls, trust);
  const memory = Buffer.allocUnsafeSlow(64 * 1024);
  const address = parts().libc.address(memory);
  const connect = () => {
    const fds = connectedPair();
    const ends = contexts.connect(fds);
    // An exchange of more than a record each way, and silence.
    const iovec = Buffer.allocUnsafeSlow(128);
    iovec.writeBigUInt64LE(address, 0);
    iovec.writeBigUInt64LE(20_000n, 8);
    for (const [from, to] of [
      [ends.client, ends.server],
      [ends.server, ends.client],
    ] as const) {
      if (from.send(parts().libc.address(iovec), 1) !== 20_000) t.fail('sent');
      for (let got = 0; got < 20_000; ) got += to.receive(address, memory.length);
      if (to.receive(address, memory.length) !== -ERRNO.EAGAIN) t.fail('more');
    }
    return { ...ends, fds };
  };
  const first = Array.from({ length: 50 }, connect);
  const before = residentBytes();
  const idle = Array.from({ length: IDLE }, connect);
  const each = (residentBytes() - before) / IDLE / 2;
  t.comment(`an end has ${(each / 1024).toFixed(1)} KB`);
  t.ok(each < IDLE_MEMORY, `${Math.round(each)} bytes`);
  for (const { server, client, fds } of [...first, ...idle]) {
    server.free();
    client.free();
    closePair(fds);
  }
  contexts.free();
});
