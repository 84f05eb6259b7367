import { writeSync } from 'node:fs';
import { ERRNO } from 'mproxy-net/linux/errno';
import t from 'tap';
import { Random } from '../support/random.js';
import { notLinux, parts } from './tls-channels.js';
import { COUNTED, Contexts, closePair, connectedPair, counting, credentials } from './tls-pairs.js';

t.test('handshakes leave nothing behind', { skip: notLinux }, async (t) => {
  const { ssl, open } = counting(parts().ssl);
  const { tls, trust } = await credentials(t);
  const contexts = new Contexts({ ...parts(), ssl }, tls, trust);
  const resumed = contexts.connectAgain(500);
  t.equal(resumed, 499, 'all but the first were resumed');
  t.equal(open.get('SSL_new'), 0);
  contexts.free();
  t.strictSame(
    [...open.values()],
    COUNTED.map(() => 0),
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
  const [one, two] = [contexts.server.accept(other[0]), contexts.server.accept(other[0])];
  contexts.free();
  one.free();
  t.ok(open.get('SSL_CTX_new')! > 0, 'a channel keeps its context');
  two.free();
  closePair(other);
  t.equal(open.get('BIO_new_mem_buf'), 0);
  t.equal(open.get('PEM_read_bio_X509'), 0);
  t.equal(open.get('PEM_read_bio_PrivateKey'), 0);
});

t.test('a context that is freed twice takes nothing of another', { skip: notLinux }, async (t) => {
  const { tls, trust } = await credentials(t);
  // The allocator gives the address of a freed one to the next.
  for (let round = 0; round < 20; round++) {
    const first = new Contexts(parts(), tls, trust);
    first.free();
    const next = new Contexts(parts(), tls, trust);
    first.server.free();
    t.equal(next.connectAgain(1), 0);
    next.free();
  }
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
  client.free();
  contexts.free();
  closePair(fds);
});

t.test('bytes that are no handshake leave nothing behind', { skip: notLinux }, async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const { ssl, open } = counting(parts().ssl);
  const { tls, trust } = await credentials(t);
  const contexts = new Contexts({ ...parts(), ssl }, tls, trust);
  let refused = 0;
  for (let i = 0; i < 2000; i++) {
    const fds = connectedPair();
    const server = contexts.server.accept(fds[0]);
    const content = random.bytes(random.integer(5, 255));
    // A record of the handshake with a ClientHello, or what looks like one (RFC 8446, sections 5.1 and 4).
    const head = [22, 3, 3, 0, content.length, 1, 0, 0, content.length - 4];
    writeSync(fds[1], i % 2 ? content : Buffer.concat([Buffer.from(head), content.subarray(4)]));
    const result = server.handshake();
    if (result !== -ERRNO.EAGAIN) refused++;
    if (result === 0 || (result !== -ERRNO.EAGAIN && !server.error))
      t.fail(`${result}: ${content.toString('hex')}`);
    server.free();
    closePair(fds);
  }
  t.ok(refused > 1000, `${refused} refused, the others wait for more`);
  contexts.free();
  t.strictSame(
    [...open.values()],
    COUNTED.map(() => 0),
  );
});
