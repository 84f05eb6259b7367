import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import t from 'tap';
import { Authority, pairFlags } from '../support/certificates.js';
import { start } from '../support/command.js';
import { groupSend, groupSink, loopbackGroup } from '../support/group.js';
import { TcpClient } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';

type Test = Parameters<typeof start>[0];

interface Secure extends TcpClient {
  socket: TLSSocket;
}

/** A TLS client of 127.0.0.1, its handshake done. */
async function tlsClient(t: Test, port: number, options: ConnectionOptions): Promise<Secure> {
  const socket = connect({ port, host: '127.0.0.1', ...options });
  t.teardown(() => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('secureConnect', resolve);
  });
  return new TcpClient(socket) as Secure;
}

function plainClient(t: Test, port: number): TcpClient {
  const client = new TcpClient(connectPlain({ port, host: '127.0.0.1', allowHalfOpen: true }));
  t.teardown(() => client.socket.destroy());
  return client;
}

/** A reverse with a TLS output, and its port. */
async function startOutput(t: Test, ...more: string[]) {
  const group = await loopbackGroup();
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--tcp-output-addr', 'tls://127.0.0.1:0', ...more],
  ]);
  return { group, reverse, port: await reverse.port() };
}

const nameOf = ({ socket }: Secure) => socket.getPeerCertificate().subject.CN;

t.test('TLS senders and TLS clients meet through the group', async (t) => {
  const authority = await Authority.make(t);
  const pair = await authority.sign({ dns: ['feed.test'] });
  const trust = { ca: authority.pem, servername: 'feed.test' };
  const { reverse, port } = await startOutput(
    t,
    ...['--tcp-listen-addr', '127.0.0.1:0,tls', ...pairFlags(pair)],
  );
  const client = await tlsClient(t, port, trust);
  await reverse.says('client: ');
  const sender = await tlsClient(t, await reverse.port(2), trust);
  sender.socket.end('one\ntwo\n');
  t.equal(String(await client.has(8)), 'one\ntwo\n');
  await reverse.says(/sender: .* left/);
});

t.test('the certificate is chosen by name; unknown names and no name get the first', async (t) => {
  const authority = await Authority.make(t);
  const pairs = [
    await authority.sign({ dns: ['a.test'] }),
    await authority.sign({ dns: ['b.test', '*.b.test'] }),
  ];
  const { port } = await startOutput(t, ...pairFlags(...pairs));
  for (const [asked, answer] of [
    ['a.test', 'a.test'],
    ['b.test', 'b.test'],
    ['x.b.test', 'b.test'],
    ['unknown.test', 'a.test'],
    ['', 'a.test'],
  ] as const) {
    const client = await tlsClient(t, port, { servername: asked, rejectUnauthorized: false });
    t.equal(nameOf(client), answer, asked || 'no name');
  }
});

t.test('--tls-client-ca lets in only who shows a certificate of that authority', async (t) => {
  const [authority, other] = [await Authority.make(t), await Authority.make(t, 'another')];
  const member = await authority.sign({ dns: ['member.test'] });
  const stranger = await other.sign({ dns: ['stranger.test'] });
  const { group, reverse, port } = await startOutput(
    t,
    ...pairFlags(member),
    '--tls-client-ca',
    authority.file,
  );
  // TLS 1.3 tells a client of its refusal only after its own handshake is done.
  for (const own of [{}, { cert: stranger.cert, key: stranger.key }]) {
    for (const servername of ['member.test', 'unknown.test']) {
      const options = { servername, rejectUnauthorized: false, ...own };
      const refused = await tlsClient(t, port, options).catch(() => undefined);
      if (refused) await until('a stranger is refused', () => refused.closed);
    }
  }
  t.notMatch(reverse.stderr, 'client: ');
  await reverse.says(/TLS handshake failed: it showed no certificate/);
  const trust = { ca: authority.pem, servername: 'member.test' };
  const client = await tlsClient(t, port, { ...trust, cert: member.cert, key: member.key });
  await reverse.says('client: ');
  await groupSend(group, ['for members\n']);
  t.equal(String(await client.has(12)), 'for members\n');
});

t.test('SIGHUP reads the certificates again, and drops no connection', async (t) => {
  const authority = await Authority.make(t);
  const [a, b] = [await authority.sign({ dns: ['a.test'] }), await authority.sign({ dns: ['b.test'] })];
  const { group, reverse, port } = await startOutput(t, ...pairFlags(a, b));
  const options = { rejectUnauthorized: false };
  const before = await tlsClient(t, port, { ...options, servername: 'a.test' });
  await reverse.says('client: ');
  const serial = (client: Secure) => client.socket.getPeerCertificate().serialNumber;
  const old = [serial(before), serial(await tlsClient(t, port, { ...options, servername: 'b.test' }))];
  for (const [pair, name] of [
    [a, 'a.test'],
    [b, 'b.test'],
  ] as const) {
    const next = await authority.sign({ dns: [name] });
    copyFileSync(next.certFile, pair.certFile);
    copyFileSync(next.keyFile, pair.keyFile);
  }
  reverse.child.kill('SIGHUP');
  await reverse.says('certificates read again');
  for (const servername of ['a.test', 'b.test', 'unknown.test', '']) {
    const after = await tlsClient(t, port, { ...options, servername });
    t.notOk(old.includes(serial(after)), `a new certificate for ${servername || 'no name'}`);
  }
  await groupSend(group, ['still here\n']);
  t.equal(String(await before.has(11)), 'still here\n');

  t.equal(await reverse.stop(), 0);
});

t.test('SIGHUP changes all certificates of all listeners, or none', async (t) => {
  const authority = await Authority.make(t);
  const [a, b] = [await authority.sign({ dns: ['a.test'] }), await authority.sign({ dns: ['b.test'] })];
  const input = ['--tcp-listen-addr', 'tls://127.0.0.1:0'];
  const { reverse, port } = await startOutput(t, ...input, ...pairFlags(a, b));
  const ports = [port, await reverse.port(2)];
  /** What every name gets on every listener. */
  const serials = async () => {
    const seen: string[] = [];
    for (const port of ports) {
      for (const servername of ['a.test', 'b.test', 'unknown.test', '']) {
        const client = await tlsClient(t, port, { rejectUnauthorized: false, servername });
        seen.push(client.socket.getPeerCertificate().serialNumber);
        client.socket.destroy();
      }
    }
    return seen;
  };
  const renew = async (pair: typeof a, name: string) => {
    const next = await authority.sign({ dns: [name] });
    copyFileSync(next.certFile, pair.certFile);
    copyFileSync(next.keyFile, pair.keyFile);
  };
  const before = await serials();
  t.equal(new Set(before).size, 2);
  await renew(a, 'a.test');
  const whole = readFileSync(b.certFile);
  writeFileSync(b.certFile, 'broken');
  reverse.child.kill('SIGHUP');
  await reverse.says(/certificate: .*the reload failed, and nothing has changed/);
  t.strictSame(await serials(), before, 'the first is renewed, the second is broken: none is new');
  writeFileSync(b.certFile, whole);
  await renew(b, 'b.test');
  reverse.child.kill('SIGHUP');
  await reverse.says('certificates read again');
  const after = await serials();
  t.equal(new Set(after).size, 2);
  t.notOk(
    after.some((serial) => before.includes(serial)),
    'all are new, the one for no name with them',
  );
  t.equal(await reverse.stop(), 0);
});

t.test('SIGHUP reads the authorities of client certificates again', async (t) => {
  const [authority, next] = [await Authority.make(t), await Authority.make(t, 'next')];
  const pair = await authority.sign({ dns: ['feed.test'] });
  const member = await next.sign({ dns: ['member.test'] });
  const { reverse, port } = await startOutput(t, ...pairFlags(pair), '--tls-client-ca', authority.file);
  for (const servername of ['feed.test', '']) {
    const options = { rejectUnauthorized: false, servername, cert: member.cert, key: member.key };
    const refused = await tlsClient(t, port, options).catch(() => undefined);
    if (refused) await until('it is refused', () => refused.closed);
  }
  t.notMatch(reverse.stderr, 'client: ');
  copyFileSync(next.file, authority.file);
  reverse.child.kill('SIGHUP');
  await reverse.says('certificates read again');
  for (const [i, servername] of ['feed.test', ''].entries()) {
    const options = { rejectUnauthorized: false, servername, cert: member.cert, key: member.key };
    await tlsClient(t, port, options);
    await until('it is accepted', () => reverse.stderr.split('client: ').length > i + 1);
  }
});

t.test('TLS 1.2 is spoken, TLS 1.1 is not, also after SIGHUP', async (t) => {
  const authority = await Authority.make(t);
  const pair = await authority.sign({ dns: ['feed.test'] });
  const { reverse, port } = await startOutput(t, ...pairFlags(pair));
  const trust = { ca: authority.pem, servername: 'feed.test' };
  const old = { ...trust, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const;
  for (const when of ['at first', 'after SIGHUP']) {
    const client = await tlsClient(t, port, { ...trust, maxVersion: 'TLSv1.2' });
    t.equal(client.socket.getProtocol(), 'TLSv1.2', when);
    await t.rejects(tlsClient(t, port, old), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' }, when);
    reverse.child.kill('SIGHUP');
    await reverse.says('certificates read again');
  }
});

t.test('any bytes on a TLS port do no harm', async (t) => {
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  const authority = await Authority.make(t);
  const group = await loopbackGroup();
  const member = await groupSink(t, group);
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--tcp-listen-addr', 'tls://127.0.0.1:0'],
    ...['--tcp-output-addr', 'tls://127.0.0.1:0', ...pairFlags(await authority.sign({ dns: ['feed.test'] }))],
  ]);
  const [output, input] = [await reverse.port(0), await reverse.port(2)];
  const begun = Buffer.concat([Buffer.from('16030101f4', 'hex'), random.bytes(100)]);
  for (const port of [output, input]) {
    // What has a 3 in the second place may be a record of TLS (RFC 8446, 5.1), or a 1 in the third a hello of SSL 2 (RFC 5246,
    // E.2): the rest of it would be waited for.
    for (const bytes of ['plain line\n', Buffer.concat([Buffer.of(0x80, 0, 0), random.bytes(5000)])]) {
      const client = plainClient(t, port);
      client.socket.write(bytes);
      await until('it is turned away', () => client.closed || client.socket.readableEnded);
    }
    // These may yet become handshakes, and have some seconds to do so.
    for (const bytes of ['', begun]) plainClient(t, port).socket.end(bytes);
    for (const bytes of ['', begun]) plainClient(t, port).socket.write(bytes);
  }
  await reverse.says(/TLS handshake failed: it does not speak TLS/);
  const trust = { ca: authority.pem, servername: 'feed.test' };
  const client = await tlsClient(t, output, trust);
  await reverse.says('client: ');
  (await tlsClient(t, input, trust)).socket.write('secure\n');
  t.equal(String(await client.has(7)), 'secure\n');
  t.equal(String(member.bytes), 'secure\n', 'nothing else reached the group');
});

t.test('a listener without its pair is refused, and a bad file is an error', async (t) => {
  const authority = await Authority.make(t);
  const [pair, other] = [
    await authority.sign({ dns: ['a.test'] }),
    await authority.sign({ dns: ['b.test'] }),
  ];
  const garbage = authority.write('garbage.pem', 'no certificate');
  const cases: [number, string, string[]][] = [
    [2, '--tls-cert', []],
    [2, '--tls-key', ['--tls-cert', pair.certFile]],
    [2, '--tls-key', [...pairFlags(pair), '--tls-cert', other.certFile]],
    [1, 'nosuch.pem', ['--tls-cert', authority.path('nosuch.pem'), '--tls-key', pair.keyFile]],
    [1, 'garbage.pem', ['--tls-cert', garbage, '--tls-key', pair.keyFile]],
    [1, pair.certFile, ['--tls-cert', pair.certFile, '--tls-key', other.keyFile]],
    [1, 'garbage.pem', [...pairFlags(pair), '--tls-client-ca', garbage]],
    [1, 'nosuch.pem', [...pairFlags(pair), '--tls-client-ca', authority.path('nosuch.pem')]],
  ];
  for (const [status, said, args] of cases) {
    const { address } = await loopbackGroup();
    const reverse = start(t, 'reverse', [
      ...['--multicast-addr', address, '--tcp-output-addr', 'tls://127.0.0.1:0', ...args],
    ]);
    t.equal(await reverse.exited, status, `${args.join(' ')}: ${reverse.stderr}`);
    t.match(reverse.stderr, said);
    t.match(reverse.stderr, /^mproxy-reverse: [^\n]+\n$/, 'in one line');
  }
});
