import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import { start } from '../support/command.js';
import { tcpServer } from '../support/net.js';
import { until } from '../support/wait.js';

type Test = Parameters<typeof start>[0];

/** A TLS server on 127.0.0.1 that greets every client with a line. */
async function greeter(t: Test, options: TlsOptions, port = 0) {
  const sockets: TLSSocket[] = [];
  const server = createServer(options, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write('hello\n');
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { server, sockets, port: (server.address() as { port: number }).port };
}

/** The name that a client asked a server for (SNI). */
const askedFor = (socket: TLSSocket) => (socket as TLSSocket & { servername?: string | false }).servername;

const upstream = (port: number, ...more: string[]) => [
  ...['--tcp-connect-addr', `tls://127.0.0.1:${port}`, '--tee', ...more],
];

t.test('an upstream that the authority vouches for is read', async (t) => {
  const authority = await Authority.make(t);
  const { port, sockets } = await greeter(t, await authority.sign({ ips: ['127.0.0.1'] }));
  const forward = start(t, 'forward', upstream(port, '--tls-ca', authority.file));
  await until('its line', () => String(forward.stdout) === 'hello\n');
  t.equal(sockets[0]!.getProtocol(), 'TLSv1.3');
  t.equal(await forward.stop(), 0);
});

t.test('the key tls and SSL_CERT_FILE do as the scheme and --tls-ca', async (t) => {
  const authority = await Authority.make(t);
  const { port } = await greeter(t, await authority.sign({ ips: ['127.0.0.1'] }));
  const env = { ...process.env, SSL_CERT_FILE: authority.file };
  const forward = start(t, 'forward', ['--tcp-connect-addr', `127.0.0.1:${port},tls`, '--tee'], { env });
  await until('its line', () => String(forward.stdout) === 'hello\n');
});

t.test('an upstream of another authority is refused with the reason, and tried again', async (t) => {
  const [ours, others] = [await Authority.make(t), await Authority.make(t, 'another')];
  const { port } = await greeter(t, await others.sign({ ips: ['127.0.0.1'] }));
  for (const trust of [['--tls-ca', ours.file], []]) {
    const forward = start(t, 'forward', upstream(port, ...trust));
    await forward.says(
      /upstream: tls:.*authority is not known.*; trying again in .*\n.*authority is not known.*; trying again in/,
    );
    t.equal(String(forward.stdout), '');
    t.equal(await forward.stop(), 0);
  }
  const once = start(t, 'forward', upstream(port, '--once', '--tls-ca', ours.file));
  t.equal(await once.exited, 1);
});

t.test('a certificate for another name is refused, unless --tls-servername says so', async (t) => {
  const authority = await Authority.make(t);
  const { port, sockets } = await greeter(t, await authority.sign({ dns: ['feed.test'] }));
  const wrong = start(t, 'forward', upstream(port, '--tls-ca', authority.file));
  await wrong.says(/upstream: tls:.*127\.0\.0\.1.*; trying again in/);
  t.match(wrong.stderr, /its certificate is for other names; give its own with --tls-servername NAME/);
  t.equal(await wrong.stop(), 0);
  const forward = start(t, 'forward', [
    ...upstream(port, '--tls-ca', authority.file, '--tls-servername', 'feed.test'),
  ]);
  await until('its line', () => String(forward.stdout) === 'hello\n');
  t.equal(askedFor(sockets.at(-1)!), 'feed.test', 'and asks for it');
});

t.test('--tls-insecure reads from anyone, and says so', async (t) => {
  const authority = await Authority.make(t);
  const { port, sockets } = await greeter(t, await authority.sign({ dns: ['somebody.test'] }));
  const forward = start(t, 'forward', upstream(port, '--tls-insecure', '--quiet'));
  await until('its line', () => String(forward.stdout) === 'hello\n');
  t.match(forward.stderr, /--tls-insecure: .*not verified/, 'even with --quiet');
  t.notOk(askedFor(sockets[0]!), 'an address is not sent as a name');
});

t.test('a client certificate is shown where the upstream wants one', async (t) => {
  const authority = await Authority.make(t);
  const mine = await authority.sign({ dns: ['me.test'] });
  const { port } = await greeter(t, {
    ...(await authority.sign({ ips: ['127.0.0.1'] })),
    ...{ ca: authority.pem, requestCert: true, rejectUnauthorized: true },
  });
  const without = start(t, 'forward', upstream(port, '--tls-ca', authority.file));
  await without.says(/upstream: tls:.*it wants a certificate.*; trying again in/);
  const pair = ['--tls-cert', mine.certFile, '--tls-key', mine.keyFile];
  const forward = start(t, 'forward', upstream(port, '--tls-ca', authority.file, ...pair));
  await until('its line', () => String(forward.stdout) === 'hello\n');
});

t.test('an upstream that speaks TLS 1.1 at most is refused', async (t) => {
  const authority = await Authority.make(t);
  const { port } = await greeter(t, {
    ...(await authority.sign({ ips: ['127.0.0.1'] })),
    ...{ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
  });
  const forward = start(t, 'forward', upstream(port, '--tls-ca', authority.file));
  await forward.says(/upstream: tls:.*(version|protocol).*; trying again in/i);
  t.equal(String(forward.stdout), '');
});

t.test('an upstream that does not speak TLS, or hangs up, is tried again', async (t) => {
  const plain = await tcpServer(t, (socket) => socket.write('plain\n'));
  const brief = await tcpServer(t, (socket) => socket.destroy());
  for (const { port } of [plain, brief]) {
    const forward = start(t, 'forward', upstream(port));
    await forward.says(/upstream: tls:.*; trying again in/);
    t.equal(String(forward.stdout), '');
    t.equal(await forward.stop(), 0);
  }
});

t.test('an upstream that restarts is connected again', async (t) => {
  const authority = await Authority.make(t);
  const pair = await authority.sign({ ips: ['127.0.0.1'] });
  const first = await greeter(t, pair);
  const forward = start(t, 'forward', upstream(first.port, '--tls-ca', authority.file));
  await until('its line', () => String(forward.stdout) === 'hello\n');
  first.server.close();
  for (const socket of first.sockets) socket.destroy();
  await forward.says(/connection refused; trying again/);
  await greeter(t, pair, first.port);
  await until('a second line', () => String(forward.stdout) === 'hello\nhello\n');
});

t.test('a bad file is an error', async (t) => {
  const authority = await Authority.make(t);
  const mine = await authority.sign({ dns: ['me.test'] });
  const other = await authority.sign({ dns: ['other.test'] });
  const garbage = authority.write('garbage.pem', 'no certificate');
  const cases: [number, string, string[]][] = [
    [1, 'nosuch.pem', ['--tls-ca', authority.path('nosuch.pem')]],
    [1, 'garbage.pem', ['--tls-ca', garbage]],
    [1, 'garbage.pem', ['--tls-cert', garbage, '--tls-key', mine.keyFile]],
    [1, mine.certFile, ['--tls-cert', mine.certFile, '--tls-key', other.keyFile]],
    [2, '--tls-key', ['--tls-cert', mine.certFile]],
    [2, '--tls-cert', ['--tls-key', mine.keyFile]],
  ];
  for (const [status, said, args] of cases) {
    const forward = start(t, 'forward', upstream(9, ...args));
    t.equal(await forward.exited, status, `${args[0]}: ${forward.stderr}`);
    t.match(forward.stderr, said);
    t.match(forward.stderr, /^mproxy-forward: [^\n]+\n$/, 'in one line');
  }
});
