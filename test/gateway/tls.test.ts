import { once } from 'node:events';
import { copyFileSync, writeFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import t from 'tap';
import { Authority, type Pair } from '../support/certificates.js';
import { start } from '../support/command.js';
import { until } from '../support/wait.js';
import { Client, gateway, IS_NODE, origin } from './running.js';
import { type Answered, askSecurely } from './tls-client.js';

const authority = await Authority.make(t);
const site = await authority.sign({ dns: ['a.test'] });
const files = ({ certFile, keyFile }: Pair) => ({ cert_file: certFile, key_file: keyFile });
const flags = { tlsCert: site.certFile, tlsKey: site.keyFile };
const here = [{ path: '/', respond: { body: 'here' } }];
const SECURE = 'tls://127.0.0.1:0';

/** The text of a response; '': there is none. */
const textOf = (answered: Answered) => (typeof answered === 'object' ? answered.text : '');
const ask = (t: Test, { port }: { port: number }, fields = '', path = '/') =>
  askSecurely(t, port, { sni: 'a.test', host: 'a.test', fields, path });

/** What an origin was sent, as lines. */
async function echo(t: Test): Promise<string> {
  return origin(t, (request, response) =>
    response.end(`${request.url}\n${request.rawHeaders.join('\n')}\n`.toLowerCase()),
  );
}

t.test('requests over TLS: a verified certificate, and https in what upstreams are told', async (t) => {
  const running = await gateway(t, {
    ...{ listenAddr: SECURE, ...flags },
    config: { routes: [{ path: '/', upstream: await echo(t), forwarded: true }] },
  });
  const verified = { ca: authority.pem, rejectUnauthorized: true, ALPNProtocols: ['h2', 'http/1.1'] };
  const answered = await askSecurely(t, running.port, { sni: 'a.test', host: 'a.test', ...verified });
  t.match(textOf(answered), /\nx-forwarded-proto\nhttps\n/);
  t.match(textOf(answered), /\nforwarded\nfor=127\.0\.0\.1;host=a\.test;proto=https\n/);
  t.equal((answered as { socket: TLSSocket }).socket.alpnProtocol, 'http/1.1');
  t.match(await running.notice('listening'), { text: `listening: https 127.0.0.1:${running.port}` });
});

t.test('a client that speaks HTTP/2 alone is refused by an alert', async (t) => {
  const running = await gateway(t, { listenAddr: SECURE, ...flags, config: { routes: here } });
  const answered = await askSecurely(t, running.port, {
    sni: 'a.test',
    host: 'a.test',
    ALPNProtocols: ['h2'],
  });
  t.equal(answered, 120, 'no_application_protocol');
});

t.test('why a handshake was refused is reported, once a minute', async (t) => {
  const running = await gateway(t, {
    ...{ listenAddr: SECURE, ...flags, tlsClientCa: authority.file, workers: 1 },
    config: { routes: here },
  });
  const failed = () => running.metric('tls_handshakes', { result: 'failed' });
  const looks = connectPlain(running.port, '127.0.0.1', () => looks.resetAndDestroy()).on(
    'error',
    () => undefined,
  );
  await until('a client that only looks is counted', () => failed() === 1);
  t.notOk(
    running.notices.find(({ event }) => event === 'handshake_failed'),
    'and not reported',
  );
  await ask(t, running);
  const { fields } = await running.notice('handshake_failed');
  t.match(fields, { listener: '127.0.0.1:0', peer: /^127\.0\.0\.1:\d+$/, reason: /certificate/ });
  await ask(t, running);
  await until('the next one is counted', () => failed() === 3);
  t.equal(running.notices.filter(({ event }) => event === 'handshake_failed').length, 1);
});

t.test('handshakes are counted by listener and result', async (t) => {
  const running = await gateway(t, { listenAddr: SECURE, ...flags, config: { routes: here } });
  const counted = (result: string) => running.metric('tls_handshakes', { listener: '127.0.0.1:0', result });
  const session = await sessionOf(t, running.port);
  await sessionOf(t, running.port, session);
  const plain = connectPlain(running.port, '127.0.0.1').on('error', () => undefined);
  plain.end('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await until('three handshakes are counted', () => counted('failed') === 1 && counted('resumed') === 1);
  t.equal(counted('full'), 1);
  t.match(running.handle.certificates(), [{ file: site.certFile }]);
});

/** A request over a connection of its own. @param session it must be resumed @returns a session ticket that came with the response */
async function sessionOf(t: Test, port: number, session?: Buffer, presents = {}): Promise<Buffer> {
  const trust = { servername: 'a.test', ca: authority.pem, ...presents };
  const socket = connect({ port, host: '127.0.0.1', ...trust, ...(session && { session }) });
  t.teardown(() => socket.destroy());
  let ticket = session;
  socket.on('session', (given) => {
    ticket = given;
  });
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await once(socket, 'data');
  t.equal(socket.isSessionReused(), session !== undefined);
  await until('a session ticket', () => ticket !== undefined);
  socket.destroy();
  return ticket!;
}

t.test('a client that other authorities verified is none any more once they are read again', async (t) => {
  const file = authority.path('client-ca.pem');
  const other = await Authority.make(t, 'other');
  const own = await authority.sign({ dns: ['me.test'] });
  writeFileSync(file, authority.pem);
  const tls = { tlsCert: site.certFile, tlsKey: site.keyFile, tlsClientCa: file };
  const running = await gateway(t, { listenAddr: [SECURE, '127.0.0.1:0'], ...tls, config: { routes: here } });
  const { text } = await running.notice('client_certificates_not_needed');
  t.match(text, '127.0.0.1:0 has no TLS: there, hosts of --tls-cert are served without certificates');
  const { port } = running;
  const socket = connect({ port, host: '127.0.0.1', servername: 'a.test', ca: authority.pem, ...own });
  t.teardown(() => socket.destroy());
  let said = '';
  socket.on('data', (bytes) => {
    said += bytes;
  });
  const status = async () => {
    said = '';
    socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    await until('a response', () => said.includes('\r\n\r\n'));
    return Number(said.split(' ', 2)[1]);
  };
  t.equal(await status(), 200);
  writeFileSync(file, other.pem);
  t.equal(running.handle.reload(), true);
  await running.notice('certificates_reloaded');
  await until('it is refused', async () => (await status()) === 421);
});

t.test('certificates are read again', async (t) => {
  const [cert, key] = [authority.path('current.pem'), authority.path('current.key')];
  const use = (pair: Pair) => {
    copyFileSync(pair.certFile, cert);
    copyFileSync(pair.keyFile, key);
  };
  use(site);
  const running = await gateway(t, {
    listenAddr: SECURE,
    tlsCert: cert,
    tlsKey: key,
    config: { routes: here },
    workers: 2,
  });
  const serial = async () => {
    const answered = await ask(t, running);
    return (answered as { serial: string }).serial;
  };
  const first = await serial();
  const next = await authority.sign({ dns: ['a.test'] });
  use(next);
  t.equal(await serial(), first, 'not before they are read again');
  t.equal(running.handle.reload(), true);
  await running.notice('certificates_reloaded');
  await until('the new certificate', async () => (await serial()) !== first);
  const second = await serial();

  await t.test('one that is wrong changes nothing', async (t) => {
    writeFileSync(key, site.key);
    running.handle.reload();
    const { text } = await running.notice('reload_failed');
    t.match(text, `--tls-cert: ${JSON.stringify(key)}: it is the key of another certificate`);
    t.equal(await serial(), second);
  });

  await t.test(
    'a worker that starts later has the current one',
    { skip: IS_NODE && 'only the node engine has one worker' },
    async (t) => {
      for (const worker of running.workers.slice()) await worker.terminate();
      await running.notice('worker_failed', 1);
      await until('both serve again', () => running.metric('workers') === 2);
      t.equal(await serial(), second);
    },
  );
});

t.test(
  'sessions are resumed by all workers, and by those that start later',
  { skip: IS_NODE && 'only the node engine has one worker' },
  async (t) => {
    const running = await gateway(t, { listenAddr: SECURE, ...flags, config: { routes: here }, workers: 4 });
    const session = await sessionOf(t, running.port);
    const resumed = () => running.metric('tls_handshakes', { result: 'resumed' });
    for (let i = 0; i < 20; i++) await sessionOf(t, running.port, session);
    t.equal(resumed(), 20);
    for (const worker of running.workers.slice()) await worker.terminate();
    await running.notice('worker_failed', 3);
    // Four threads start at once.
    await until('all serve again', () => running.metric('workers') === 4, 60_000);
    for (let i = 0; i < 8; i++) await sessionOf(t, running.port, session);
    t.equal(resumed(), 28);
    t.equal(running.metric('tls_handshakes', { result: 'full' }), 1);
  },
);

t.test('https_redirection and hsts', async (t) => {
  const running = await gateway(t, {
    listenAddr: [SECURE, '127.0.0.1:0'],
    ...flags,
    trust: ['127.0.0.1'],
    config: { https_redirection: true, hsts: { max_age: 60, include_subdomains: true }, routes: here },
  });
  const { listening } = await running.handle.ready;
  const [secure, plain] = listening.map(({ port }) => port);
  const client = new Client(t, plain!);
  const asked = async (head: string) => {
    client.socket.write(`${head}\r\n\r\n`);
    return client.response();
  };
  const redirected = await asked('POST /x/%7ey?z=1 HTTP/1.1\r\nHost: A.test:80\r\nContent-Length: 0');
  t.equal(redirected.status, 308);
  t.match(redirected.head, new RegExp(`^location: https://a\\.test:${secure}/x/~y\\?z=1\\r$`, 'm'));
  t.notMatch(redirected.head, /strict-transport-security/i, 'not without TLS (RFC 6797, section 7.2)');
  const trusted = await asked('GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Proto: https');
  t.equal(trusted.body, 'here', 'a trusted proxy says that it came by https');
  const none = await asked('GET / HTTP/1.0\r\nConnection: keep-alive');
  t.equal(none.status, 400, 'there is no host to redirect to');
  t.match(
    textOf(await ask(t, { port: secure! })),
    /^strict-transport-security: max-age=60; includeSubDomains\r$/m,
  );
});

t.test('https_redirection: the port is the one that clients use', async (t) => {
  const config = { https_redirection: true, https_port: 443, routes: here };
  const running = await gateway(t, { listenAddr: [SECURE, '127.0.0.1:0'], ...flags, config });
  const { listening } = await running.handle.ready;
  const answer = await fetch(`http://127.0.0.1:${listening[1]!.port}/x`, { redirect: 'manual' });
  t.equal(answer.headers.get('location'), 'https://127.0.0.1/x');
});

t.test('https_redirection: the first requests, too, are sent to the port with TLS', async (t) => {
  const args = [
    '--listen-addr',
    '127.0.0.1:0',
    '--listen-addr',
    SECURE,
    '--config',
    'g.json',
    '--workers',
    '4',
  ];
  const cwd = t.testdir({
    'g.json': JSON.stringify({ https_redirection: true, certificates: [files(site)], routes: here }),
  });
  const program = start(t, 'gateway', args, { cwd });
  const port = (scheme: string) =>
    new RegExp(`listening: ${scheme} 127\\.0\\.0\\.1:(\\d+)\n`).exec(program.stderr)?.[1];
  // The sockets are bound; a worker that accepts may not have opened the other one yet.
  await until('it listens', () => port('http') !== undefined);
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => fetch(`http://127.0.0.1:${port('http')}/x`, { redirect: 'manual' })),
  );
  const locations = answers.map(({ headers }) => headers.get('location'));
  t.strictSame(new Set(locations), new Set([`https://127.0.0.1:${port('https')}/x`]));
});

t.test('upstreams are told of the certificate of a client', async (t) => {
  const clients = await Authority.make(t, 'authority of clients');
  const client = await clients.sign({ dns: ['client.test'] });
  const config = (keys = {}) => ({
    certificates: [files(site), { ...files(other), client_ca_file: clients.file }],
    client_certificate: { subject_field: 'X-Client-Subject', fingerprint_field: 'X-Client-Print' },
    ...keys,
    routes: [{ path: '/', upstream }],
  });
  const other = await authority.sign({ dns: ['m.test'] });
  const upstream = await echo(t);
  const spoofed = 'X-Client-Subject: CN=admin\r\nx_client_print: 00\r\n';
  const untrusting = await gateway(t, { listenAddr: SECURE, config: config() });
  const presents = { cert: client.cert, key: client.key };
  const mutual = await askSecurely(t, untrusting.port, {
    sni: 'm.test',
    host: 'm.test',
    fields: spoofed,
    ...presents,
  });
  t.match(textOf(mutual), /\nx-client-subject\ncn=client\.test\n/);
  t.match(textOf(mutual), /\nx-client-print\n[\da-f]{64}\n/);
  t.notMatch(textOf(mutual), /admin|x_client/);
  t.notMatch(textOf(await ask(t, untrusting, spoofed)), /admin|client/, 'nor of one without a certificate');
  const trusting = await gateway(t, {
    listenAddr: SECURE,
    config: config({ trusted_proxies: ['127.0.0.1'] }),
  });
  t.match(textOf(await ask(t, trusting, spoofed)), /cn=admin/, 'a trusted proxy has its own clients');
});

t.test('a client whose certificate has expired does not resume', async (t) => {
  const end = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3000);
  const short = await authority.sign({ dns: ['client.test'], until: end });
  const running = await gateway(t, {
    ...{ listenAddr: SECURE, ...flags, tlsClientCa: authority.file, workers: 1 },
    config: { routes: here },
  });
  const presents = { cert: short.cert, key: short.key };
  const session = await sessionOf(t, running.port, undefined, presents);
  const again = await sessionOf(t, running.port, session, presents);
  await until('it has expired', () => Date.now() > end.getTime());
  const answered = await askSecurely(t, running.port, {
    ...{ sni: 'a.test', host: 'a.test', session: again, ...presents },
  });
  t.notMatch(answered, { status: 200 });
});

t.test('an expired certificate is reported, and served', async (t) => {
  const until = new Date(Date.now() - 86_400_000);
  const old = await authority.sign({ dns: ['a.test'], from: new Date(until.getTime() - 86_400_000), until });
  const running = await gateway(t, {
    listenAddr: SECURE,
    tlsCert: old.certFile,
    tlsKey: old.keyFile,
    config: { routes: here },
  });
  const { text } = await running.notice('certificate_expired');
  t.match(text, old.certFile);
  t.match(textOf(await ask(t, running)), /here$/);
  const args = ['--listen-addr', SECURE, '--tls-cert', old.certFile, '--tls-key', old.keyFile];
  const check = start(t, 'gateway', [...args, '--route', '/=http://127.0.0.1:1', '--check']);
  t.equal(await check.exited, 0);
  t.equal(check.stderr, `mproxy-gateway: ${text}\n`, '--check says so, too');
});

t.test('a handshake that is not finished in time ends the connection', async (t) => {
  const running = await gateway(t, {
    ...{ listenAddr: SECURE, ...flags },
    config: { timeouts: { tls_handshake: '200ms' }, routes: here },
  });
  const client = new Client(t, running.port);
  client.socket.write(Buffer.from('16030100', 'hex'));
  await until('it is closed', () => client.closed, 3000);
  await until('it is counted', () => running.metric('tls_handshakes', { result: 'failed' }) === 1);
  t.equal(running.metric('http_connects'), 0);
});
