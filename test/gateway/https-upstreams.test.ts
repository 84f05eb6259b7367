import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import type { TLSSocket } from 'node:tls';
import t from 'tap';
import { Authority, type Pair } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { answered, httpsOrigin } from './https-origin.js';
import { Client, gateway, IS_NODE, served } from './running.js';

const authority = await Authority.make(t);
const other = await Authority.make(t, 'another authority');
const pair = await authority.sign({ dns: ['api.test'], ips: ['127.0.0.1'] });

const route = (upstream: string, keys = {}) => ({
  config: { routes: [{ path: '/', upstream, ...keys }] },
  workers: 1,
});
const trusted = { tls_ca: authority.file };

t.test('an https upstream: verified, ALPN, kept connections', async (t) => {
  const origin = await httpsOrigin(t, pair, (socket) => socket.write(answered('secret')), {
    ALPNProtocols: ['h2', 'http/1.1'],
  });
  const running = await gateway(t, route(origin.url, trusted));
  const client = new Client(t, running.port);
  for (let i = 0; i < 3; i++) t.match(await client.get('/'), { status: 200, body: 'secret' });
  t.equal(origin.sockets.length, 1);
  t.equal(origin.sockets[0]!.alpnProtocol, 'http/1.1');
  t.equal(
    running.metric('upstream_requests', { upstream: `https://127.0.0.1:${origin.port}`, result: 'answered' }),
    3,
  );
});

t.test(
  'sessions of https upstreams are resumed',
  { skip: IS_NODE && 'the node engine resumes no sessions of upstreams' },
  async (t) => {
    const origin = await httpsOrigin(t, pair, (socket) => socket.end(answered('once', true)));
    const running = await gateway(t, route(origin.url, trusted));
    const client = new Client(t, running.port);
    for (let i = 0; i < 4; i++) t.equal((await client.get('/')).body, 'once');
    // A server of Node gives tickets with full handshakes alone, and each is used once (RFC 8446, appendix C.4).
    t.strictSame(origin.resumed, [false, true, false, true]);
  },
);

t.test(
  'tls_servername is the name that is asked for and verified; the client certificate is presented',
  async (t) => {
    const clients = await Authority.make(t, 'authority of clients');
    const mine = await clients.sign({ dns: ['gateway.test'] });
    const named = await authority.sign({ dns: ['api.test'] });
    const origin = await httpsOrigin(
      t,
      named,
      (socket) => socket.write(answered(String(socket.getPeerCertificate().subject.CN))),
      {
        ...{ requestCert: true, rejectUnauthorized: true, ca: clients.pem },
      },
    );
    const keys = { ...trusted, tls_servername: 'api.test', tls_cert: mine.certFile, tls_key: mine.keyFile };
    const running = await gateway(t, route(origin.url, keys));
    t.match(await new Client(t, running.port).get('/'), { status: 200, body: 'gateway.test' });
    t.equal((origin.sockets[0] as unknown as { servername: string }).servername, 'api.test');
  },
);

t.test('what upstreams are trusted by and presented is read again', async (t) => {
  const clients = await Authority.make(t, 'authority of clients');
  const [cert, key] = [authority.path('mine.pem'), authority.path('mine.key')];
  const present = ({ cert: pem, key: secret }: Pair) => {
    writeFileSync(cert, pem);
    writeFileSync(key, secret);
  };
  present(await clients.sign({ dns: ['first.test'] }));
  const name = (socket: TLSSocket) => String(socket.getPeerCertificate().subject.CN);
  const origin = await httpsOrigin(t, pair, (socket) => socket.end(answered(name(socket), true)), {
    ...{ requestCert: true, rejectUnauthorized: true, ca: clients.pem },
  });
  const running = await gateway(t, route(origin.url, { ...trusted, tls_cert: cert, tls_key: key }));
  const client = new Client(t, running.port);
  t.equal((await client.get('/')).body, 'first.test');
  present(await clients.sign({ dns: ['second.test'] }));
  running.handle.reload();
  await running.notice('certificates_reloaded');
  await until('the other certificate', async () => (await client.get('/')).body === 'second.test');
  writeFileSync(key, 'no key');
  running.handle.reload();
  t.match((await running.notice('reload_failed')).text, key);
  t.equal((await client.get('/')).body, 'second.test');
});

t.test('Location with the authority of an https upstream is mapped back', async (t) => {
  let port = 0;
  const origin = await httpsOrigin(t, pair, (socket, head) => {
    const scheme = /^GET \/(\w+)/.exec(head)![1];
    socket.write(
      `HTTP/1.1 302 Found\r\nLocation: ${scheme}://127.0.0.1:${port}/a?b\r\nContent-Length: 0\r\n\r\n`,
    );
  });
  port = origin.port;
  const running = await gateway(t, route(origin.url, trusted));
  const client = new Client(t, running.port);
  for (const scheme of ['https', 'http'])
    t.match((await client.get(`/${scheme}`)).head, /^location: http:\/\/test\/a\?b\r$/m);
});

const wrong = await authority.sign({ dns: ['wrong.test'] });
const day = 86_400_000;
const expired = await authority.sign({
  ips: ['127.0.0.1'],
  from: new Date(Date.now() - 2 * day),
  until: new Date(Date.now() - day),
});

for (const [name, presented, keys, reason] of [
  ['another authority', pair, { tls_ca: other.file }, /authority is not known; trust it with tls_ca/],
  ["the system's authorities", pair, {}, /authority is not known/],
  ['another name', wrong, trusted, /other names; give its own with tls_servername/],
  ['an expired one', expired, trusted, /expired/],
] as const)
  t.test(`a certificate that is not valid, ${name}: 502, and the operator is told why`, async (t) => {
    const origin = await httpsOrigin(t, presented, (socket) => socket.write(answered('never')));
    const running = await gateway(t, route(origin.url, keys));
    const { status, body } = await new Client(t, running.port).get('/');
    t.equal(status, 502);
    t.equal(body, 'the certificate of the upstream is not valid\n');
    const { text } = await running.notice('upstream_failed');
    t.match(text, reason);
    t.match(text, `https://127.0.0.1:${origin.port} cannot be connected to: `);
    t.strictSame(running.metric('upstream_requests', { result: 'unconnected' }) > 0, true);
    t.equal(origin.sockets.length, 0, 'no request was sent');
  });

t.test('an upstream that speaks no TLS: 502', async (t) => {
  const url = await served(
    t,
    createHttpServer((_, response) => response.end('plain')),
  );
  const running = await gateway(t, route(url.replace('http:', 'https:'), trusted));
  const { status, body } = await new Client(t, running.port).get('/');
  t.strictSame([status, body], [502, 'the TLS handshake with the upstream failed\n']);
  t.match((await running.notice('upstream_failed')).text, /does not speak TLS/);
});

t.test('tls_insecure accepts any certificate, and reports itself', async (t) => {
  const origin = await httpsOrigin(t, wrong, (socket) => socket.write(answered('anyone')));
  const running = await gateway(t, route(origin.url, { tls_insecure: true }));
  t.match(await new Client(t, running.port).get('/'), { status: 200, body: 'anyone' });
  const { text, kind } = await running.notice('upstream_insecure');
  t.match(text, `routes[0]: tls_insecure: https://127.0.0.1:${origin.port}`);
  t.equal(kind, 'loss');
});

t.test('an upstream that does not finish its handshake: 504', async (t) => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const running = await gateway(t, route(url, { ...trusted, timeouts: { connect: '300ms' }, retries: 0 }));
  t.equal((await new Client(t, running.port).get('/')).status, 504);
});

t.test('a body without length that ends without close_notify is truncated', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n';
  const origin = await httpsOrigin(t, pair, (socket, request) => {
    if (request.startsWith('GET /whole')) socket.end(`${head}all of it`);
    else socket.write(`${head}all of it`, () => socket.destroy());
  });
  const running = await gateway(t, route(origin.url, trusted));
  const whole = await text(t, running.port, '/whole');
  t.match(whole, /all of it\r\n0\r\n\r\n$/);
  const cut = await text(t, running.port, '/cut');
  t.match(cut, /all of it/);
  t.notMatch(cut, /\r\n0\r\n/, 'the last chunk is missing');
});

/** All that a client of HTTP/1.1 gets, until the connection ends. */
async function text(t: Parameters<typeof gateway>[0], port: number, path: string): Promise<string> {
  const client = new Client(t, port);
  let got = '';
  client.socket.on('data', (bytes) => {
    got += bytes.toString('latin1');
  });
  client.socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  await until('the end', () => client.closed);
  return got;
}
