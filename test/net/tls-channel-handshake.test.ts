import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectTls, type TLSSocket, type TlsOptions } from 'node:tls';
import type { TlsClient, TlsServer } from 'mproxy-net';
import { decodeServerName } from 'mproxy-net/linux/tls/client-hello';
import t, { type Test } from 'tap';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { tlsServer } from './connections.js';
import {
  clientContext,
  connectTo,
  type Driven,
  dial,
  identity,
  notLinux,
  relay,
  serve,
} from './tls-channels.js';

const at = (port: number) => ({ host: '127.0.0.1', port });
const DAY_MS = 86_400_000;

/** A listener of ours with what became of its handshakes, in order: facts, or an error. */
async function listen(t: Test, tls: TlsServer) {
  const results: (Driven['channel']['facts'] | Error)[] = [];
  const started = await serve(t, tls, (server) => {
    server.handshake().then(
      () => results.push(server.channel.facts),
      (error) => {
        results.push(error);
        server.close();
      },
    );
  });
  return { ...started, results };
}

/** A client of Node, with its handshake finished. */
async function nodeClient(t: Test, port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', ...options });
  t.teardown(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

async function nodeServer(t: Test, options: TlsOptions): Promise<number> {
  return (await tlsServer(t, options)).port;
}

const raw = ({ cert }: { cert: string }) => new X509Certificate(cert).raw;

t.test(
  'the certificate is the first that names the server name, else the first',
  { skip: notLinux },
  async (t) => {
    const authority = await Authority.make(t);
    const pairs = [
      await authority.sign({ dns: ['a.test'] }),
      await authority.sign({ dns: ['b.test', '*.b.test'] }),
      await authority.sign({ dns: ['c.test', 'b.test'] }),
    ];
    const { port, results } = await listen(t, { pairs });
    for (const [asked, index] of [
      ['a.test', 0],
      ['b.test', 1],
      ['B.Test', 1],
      ['x.b.test', 1],
      ['x.y.b.test', 0],
      ['c.test', 2],
      ['unknown.test', 0],
      ['', 0],
    ] as const) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const client = await nodeClient(t, port, {
          servername: asked,
          rejectUnauthorized: false,
          maxVersion,
        });
        t.ok(client.getPeerX509Certificate()!.raw.equals(raw(pairs[index]!)), `${asked} ${maxVersion}`);
        await until('it knows', () => results.length > 0);
        t.match(results.pop(), { version: maxVersion, serverName: asked || undefined });
        client.destroy();
      }
    }
  },
);

t.test('other certificates for new connections; open ones go on', { skip: notLinux }, async (t) => {
  const authority = await Authority.make(t);
  const [old, renewed] = [
    await authority.sign({ dns: ['a.test'] }),
    await authority.sign({ dns: ['a.test'] }),
  ];
  const servers: Driven[] = [];
  const { port, replace } = await serve(t, { pairs: [old, old] }, (server) => servers.push(server));
  const options = { servername: 'a.test', ca: authority.pem };
  const [before, during] = [nodeClient(t, port, options), nodeClient(t, port, options)];
  await until('both are accepted', () => servers.length === 2);
  await servers[0]!.handshake();
  replace({ pairs: [renewed] });
  await servers[1]!.handshake();
  t.ok((await during).getPeerX509Certificate()!.raw.equals(raw(old)), 'begun before');
  const after = nodeClient(t, port, options);
  await until('it is accepted', () => servers.length === 3);
  await servers[2]!.handshake();
  t.ok((await after).getPeerX509Certificate()!.raw.equals(raw(renewed)));
  await servers[0]!.write(Buffer.from('still here'));
  t.equal(String((await once(await before, 'data'))[0]), 'still here');
});

t.test(
  'ALPN: the first of the server, and a client with others alone is refused',
  { skip: notLinux },
  async (t) => {
    const authority = await Authority.make(t);
    const pairs = [await authority.sign({ dns: ['a.test'] }), await authority.sign({ dns: ['b.test'] })];
    const { port, results } = await listen(t, { pairs, alpn: ['first', 'second'] });
    for (const servername of ['a.test', 'b.test']) {
      const trust = { ca: authority.pem, servername };
      const both = await nodeClient(t, port, { ...trust, ALPNProtocols: ['other', 'second', 'first'] });
      t.equal(both.alpnProtocol, 'first');
      t.equal((await nodeClient(t, port, trust)).alpnProtocol, false);
      await until('both', () => results.length === 2);
      t.strictSame(
        results.splice(0).map((facts) => 'alpn' in facts && facts.alpn),
        ['first', undefined],
      );
      const others = nodeClient(t, port, { ...trust, ALPNProtocols: ['other'] });
      await t.rejects(others, { code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' });
      await until('it is refused', () => results.length === 1);
      t.match(results.pop(), { code: 'ERR_SSL_NO_APPLICATION_PROTOCOL' });
    }
    const tls: TlsClient = { credentials: { ca: authority.pem }, serverName: 'a.test', insecure: false };
    const context = clientContext(t, tls);
    const client = await dial(t, context, port, { ...tls, alpn: ['second'] });
    t.equal((await client.handshake()).channel.facts.alpn, 'second');
    for (const alpn of [[''], ['x'.repeat(256)]])
      await t.rejects(dial(t, context, port, { ...tls, alpn }), /ALPN/);
  },
);

t.test('TLS 1.2 and 1.3 alone, on either side', { skip: notLinux }, async (t) => {
  const authority = await Authority.make(t);
  const own = await authority.sign({ dns: ['a.test'] });
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const;
  const { port, results } = await listen(t, { pairs: [own] });
  const outdated = nodeClient(t, port, { ...old, ca: authority.pem, servername: 'a.test' });
  await t.rejects(outdated, { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
  await until('it is refused', () => results.length === 1);
  t.match(results.pop(), { code: 'ERR_SSL_UNSUPPORTED_PROTOCOL' });
  const tls: TlsClient = { credentials: { ca: authority.pem }, serverName: 'a.test', insecure: false };
  const context = clientContext(t, tls);
  const refused = await dial(t, context, await nodeServer(t, { ...own, ...old }), tls);
  await t.rejects(refused.handshake(), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const client = await dial(t, context, await nodeServer(t, { ...own, maxVersion }), tls);
    await client.handshake();
    t.equal(client.channel.facts.version, maxVersion);
  }
});

t.test(
  'what a server presents is verified, and errors are named as in node:tls',
  { skip: notLinux },
  async (t) => {
    const [authority, other] = [await Authority.make(t), await Authority.make(t, 'another')];
    const past = new Date(Date.now() - 2 * DAY_MS);
    const names = { dns: ['one.test', '*.two.test'], ips: ['127.0.0.1', '::1'] };
    const good = await authority.sign(names);
    const servers = {
      good: good,
      expired: await authority.sign({ ...names, from: past, until: new Date(Date.now() - DAY_MS) }),
      early: await authority.sign({ ...names, from: new Date(Date.now() + DAY_MS) }),
      // The authority presents itself.
      own: { cert: authority.pem, key: authority.privateKey },
      chained: { ...good, cert: `${good.cert}\n${authority.pem}` },
    };
    const cases: [keyof typeof servers, string, Authority, string | undefined][] = [
      ['good', 'one.test', authority, undefined],
      ['good', 'one.test.', authority, undefined],
      ['good', 'ONE.test', authority, undefined],
      ['good', 'x.two.test', authority, undefined],
      ['good', '127.0.0.1', authority, undefined],
      ['good', '::1', authority, undefined],
      ['good', '::1%lo', authority, undefined],
      ['good', 'three.test', authority, 'ERR_TLS_CERT_ALTNAME_INVALID'],
      ['good', 'x.y.two.test', authority, 'ERR_TLS_CERT_ALTNAME_INVALID'],
      ['good', '127.0.0.2', authority, 'ERR_TLS_CERT_ALTNAME_INVALID'],
      ['good', 'one.test', other, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      ['expired', 'one.test', authority, 'CERT_HAS_EXPIRED'],
      ['early', 'one.test', authority, 'CERT_NOT_YET_VALID'],
      ['own', 'one.test', other, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
      ['chained', 'one.test', authority, undefined],
      ['chained', 'one.test', other, 'SELF_SIGNED_CERT_IN_CHAIN'],
    ];
    for (const [presented, serverName, trusted, code] of cases) {
      const { cert, key } = servers[presented];
      const port = await nodeServer(t, { cert, key });
      const tls: TlsClient = { credentials: { ca: trusted.pem }, serverName, insecure: false };
      const context = clientContext(t, tls);
      const name = `${presented} ${serverName} ${code}`;
      const client = await dial(t, context, port, tls);
      if (code === undefined) {
        await client.handshake();
        t.ok(client.channel.facts.peerCertificate?.equals(raw(good)), name);
      } else {
        await t.rejects(client.handshake(), { code }, name);
        await t.rejects(client.read(), { code }, 'and again');
        const insecure = { ...tls, insecure: true };
        const accepting = await (await dial(t, context, port, insecure)).handshake();
        t.equal(accepting.channel.facts.peerCertificate, undefined, 'not verified');
        t.notOk(accepting.channel.facts.resumed);
      }
      // What was accepted without verification is not resumed where it is required.
      if (code) await t.rejects((await dial(t, context, port, tls)).handshake(), { code }, name);
    }
  },
);

t.test('a client certificate is required, verified, and told', { skip: notLinux }, async (t) => {
  const [authority, other] = [await Authority.make(t), await Authority.make(t, 'another')];
  const own = await authority.sign({ dns: ['one.test'] });
  const second = await authority.sign({ dns: ['two.test'] });
  const { port, results } = await listen(t, { pairs: [own, second], clientCa: authority.pem });
  const yesterday = new Date(Date.now() - DAY_MS);
  const cases = [
    [undefined, 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/],
    [await other.sign({ dns: ['me.test'] }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', /UNKNOWN_CA/],
    [
      await authority.sign({ dns: ['me.test'], from: new Date(0), until: yesterday }),
      'CERT_HAS_EXPIRED',
      /CERTIFICATE_EXPIRED/,
    ],
    [await authority.sign({ dns: ['me.test'] }), undefined, undefined],
  ] as const;
  for (const serverName of ['one.test', 'two.test']) {
    for (const [mine, code, alert] of cases) {
      const credentials = { ca: authority.pem, ...(mine && { pair: mine }) };
      const tls: TlsClient = { credentials, serverName, insecure: false };
      const client = await dial(t, clientContext(t, tls), port, tls);
      const accepted = client.handshake().then(() => client.accepted());
      const refused = await accepted.then(
        () => undefined,
        (error) => error,
      );
      await until('the server knows', () => results.length === 1);
      const result = results.pop()!;
      t.equal(refused === undefined, code === undefined, `${serverName} ${code}`);
      if (alert) t.match(refused.code, alert);
      if (code) t.match(result, { code });
      else t.ok((result as { peerCertificate: Buffer }).peerCertificate.equals(raw(mine!)));
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const options = { ca: authority.pem, servername: serverName, maxVersion };
        const node = await nodeClient(t, port, { ...options, ...mine }).catch(() => undefined);
        await until('the server knows', () => results.length === 1);
        const result = results.pop()!;
        if (code) t.match(result, { code });
        else t.match(result, { version: maxVersion, resumed: false });
        node?.destroy();
      }
    }
  }
});

t.test('a client waits until it is accepted', { skip: notLinux }, async (t) => {
  const { authority, own } = await identity(t);
  const tls: TlsClient = { credentials: { ca: authority.pem }, serverName: 'one.test', insecure: false };
  const context = clientContext(t, tls);
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const client = await dial(t, context, await nodeServer(t, { ...own, maxVersion }), tls);
    await client.handshake();
    await client.accepted();
    t.pass(maxVersion);
  }
});

t.test('a ClientHello of 40 KB, in pieces of any size', { skip: notLinux }, async (t) => {
  const { authority, own } = await identity(t);
  const { port, results } = await listen(t, { pairs: [own], alpn: ['echo'] });
  const many = Array.from({ length: 160 }, (_, i) => String(i).padEnd(250, 'x'));
  for (const size of [1, 10, 100, 1448, 20_000]) {
    let pieces = 0;
    const path = await relay(t, port, async (bytes, on, fromClient) => {
      // A turn of the event loop between the pieces: the server sees most of them one by one.
      for (let at = 0; at < bytes.length; at += size) {
        on.write(bytes.subarray(at, at + size));
        if (!fromClient) continue;
        pieces++;
        await turn();
      }
    });
    const ALPNProtocols = [...many, 'echo'];
    const client = connectTls({ ...at(path.port), ca: authority.pem, servername: 'one.test', ALPNProtocols });
    t.teardown(() => client.destroy());
    await once(client, 'secureConnect');
    t.equal(client.alpnProtocol, 'echo', String(size));
    t.ok(pieces >= 40_000 / size);
    await until('it is accepted', () => results.length === 1);
    t.match(results.pop(), { alpn: 'echo' });
  }
});

t.test('renegotiation is refused', { skip: notLinux }, async (t) => {
  const { authority, own } = await identity(t);
  let reading: Promise<unknown> | undefined;
  const { port } = await serve(t, { pairs: [own] }, (server) => {
    reading = server.handshake().then(() => server.read());
    reading.catch(() => server.close());
  });
  const options = { ca: authority.pem, servername: 'one.test', maxVersion: 'TLSv1.2' } as const;
  const client = await nodeClient(t, port, options);
  const failed = once(client, 'error');
  client.renegotiate({}, () => undefined);
  t.match((await failed)[0], { code: 'ERR_SSL_NO_RENEGOTIATION' });
  client.destroy();
  // The client gives up with an alert.
  await t.rejects(reading!, { code: /^ERR_SSL_SSL.*_ALERT_HANDSHAKE_FAILURE$/ });
});

t.test('bytes that are not TLS are an error that tells so', { skip: notLinux }, async (t) => {
  const { own } = await identity(t);
  const { port, results } = await listen(t, { pairs: [own] });
  for (const [bytes, code] of [
    ['GET / HTTP/1.1\r\n\r\n', 'ERR_SSL_HTTP_REQUEST'],
    ['plain line\n', 'ERR_SSL_WRONG_VERSION_NUMBER'],
  ] as const) {
    const socket = await connectTo(t, port);
    socket.write(bytes);
    await until('it is refused', () => results.length === 1);
    t.match(results.pop(), { code });
  }
});

t.test('invalid certificates and keys are errors of their contexts', { skip: notLinux }, async (t) => {
  const authority = await Authority.make(t);
  const [one, two] = [await authority.sign({ dns: ['a.test'] }), await authority.sign({ dns: ['b.test'] })];
  const none = { cert: 'none', key: 'none' };
  for (const [pair, message] of [
    [none, /no start line/],
    [{ cert: one.cert, key: 'none' }, /unsupported|no start line/],
    [{ cert: one.cert, key: two.key }, /key values mismatch/],
  ] as const) {
    const credentials = { ca: authority.pem, pair };
    t.throws(() => clientContext(t, { credentials }), message);
    await t.rejects(
      serve(t, { pairs: [one, pair] }, () => undefined),
      message,
    );
  }
  t.throws(() => clientContext(t, { credentials: { ca: 'none' } }), { code: 'ERR_OSSL_PEM_NO_START_LINE' });
});

t.test('a server name as it is sent; what is malformed is none', async (t) => {
  for (const [hex, name] of [
    ['0009000006612d622e6363', 'a-b.cc'],
    ['00090000066120622e6363', undefined],
    ['00090000066100622e6363', undefined],
    ['0004000001', undefined],
    ['000400000161', 'a'],
    ['000400000261', undefined],
    ['000500000161', undefined],
    ['000401000161', undefined],
    ['0003000000', undefined],
    ['', undefined],
  ] as const)
    t.equal(decodeServerName(Buffer.from(hex, 'hex')), name, hex);
});

t.test('a server name with a zero byte is refused, and harms nobody', { skip: notLinux }, async (t) => {
  const { authority, own } = await identity(t);
  const { port, results } = await listen(t, { pairs: [own] });
  const path = await relay(t, port, (bytes, on) => {
    const at = bytes.indexOf('one.test');
    if (at >= 0) bytes[at + 3] = 0;
    on.write(bytes);
  });
  const client = nodeClient(t, path.port, { ca: authority.pem, servername: 'one.test' });
  await t.rejects(client, { code: /UNRECOGNIZED_NAME/ });
  await until('it is refused', () => results.length === 1);
  t.match(results.pop(), { code: 'ERR_SSL_BAD_EXTENSION' });
});
