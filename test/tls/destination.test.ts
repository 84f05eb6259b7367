import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import t, { type Test } from 'tap';
import { Authority } from '../support/certificates.js';
import { start } from '../support/command.js';
import { udpSend } from '../support/net.js';
import { until } from '../support/wait.js';

/** A TLS server on 127.0.0.1 that keeps what it receives. @param stalls whether it reads nothing */
async function reader(t: Test, options: TlsOptions, port = 0, stalls = false) {
  const chunks: Buffer[] = [];
  const sockets: TLSSocket[] = [];
  const names: unknown[] = [];
  const server = createServer(options, (socket) => {
    sockets.push(socket);
    names.push(socket.getPeerCertificate()?.subject?.CN);
    socket.on('error', () => undefined);
    if (stalls) socket.pause();
    else socket.on('data', (chunk) => chunks.push(chunk));
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    });
  t.teardown(close);
  return {
    names,
    port: (server.address() as { port: number }).port,
    text: () => String(Buffer.concat(chunks)),
    close,
  };
}

type Sender = [running: ReturnType<typeof start>, write: (line: string) => Promise<void>];

/** Starts a program with a TLS destination. */
const TO = {
  async client(t: Test, port: number, { file }: Authority): Promise<Sender> {
    const to = ['--server-addr', `tls://127.0.0.1:${port}`, '--tls-ca', file];
    const client = start(t, 'client', ['--path', '-', ...to]);
    return [client, async (line) => void client.child.stdin!.write(line)];
  },
  async forward(t: Test, port: number, { file }: Authority): Promise<Sender> {
    const to = ['--udp-downstream-addr', `tls://127.0.0.1:${port}`, '--tls-ca', file];
    const forward = start(t, 'forward', ['--udp-listen-addr', '127.0.0.1:0', ...to]);
    const listens = await forward.port();
    return [forward, (line) => udpSend(listens, [line])];
  },
};

for (const name of ['client', 'forward'] as const) {
  const args = (port: number, ...more: string[]) =>
    name === 'client'
      ? ['--path', '-', '--server-addr', `tls://127.0.0.1:${port}`, ...more]
      : ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', `tls://127.0.0.1:${port}`, ...more];

  t.test(
    `${name}: a TLS destination that no authority vouches for is tried again, and gets nothing`,
    async (t) => {
      const [authority, other] = [await Authority.make(t), await Authority.make(t, 'another')];
      const to = await reader(t, await authority.sign({ ips: ['127.0.0.1'] }));
      const running = start(t, name, args(to.port, '--tls-ca', other.file));
      running.child.stdin!.write('secret\n');
      await running.says(
        /sending: tls:.*: its authority is not known; trust it with --tls-ca FILE; trying again in/,
      );
      t.equal(to.text(), '');
    },
  );
}

t.test('a TLS destination gets the file, and is shown the certificate of the client', async (t) => {
  const authority = await Authority.make(t);
  const to = await reader(t, {
    ...(await authority.sign({ ips: ['127.0.0.1'] })),
    ...{ ca: authority.pem, requestCert: true, rejectUnauthorized: true },
  });
  const own = await authority.sign({ dns: ['client.test'] });
  const client = start(t, 'client', [
    ...['--path', '-', '--server-addr', `127.0.0.1:${to.port},tls`, '--frame', 'line'],
    ...['--tls-ca', authority.file, '--tls-cert', own.certFile, '--tls-key', own.keyFile],
  ]);
  // Without a scheme the address is UDP, which has no TLS.
  t.equal(await client.exited, 2);
  t.match(client.stderr, 'tls');
  const tls = start(t, 'client', [
    ...['--path', '-', '--server-addr', `tls://127.0.0.1:${to.port}`],
    ...['--tls-ca', authority.file, '--tls-cert', own.certFile, '--tls-key', own.keyFile],
  ]);
  tls.child.stdin!.end('one\ntwo\n');
  t.equal(await tls.exited, 0, tls.stderr);
  await until('both lines', () => to.text() === 'one\ntwo\n');
  t.strictSame(to.names, ['client.test']);
});

for (const name of ['client', 'forward'] as const) {
  t.test(`${name}: a TLS destination that restarts is connected again`, async (t) => {
    const authority = await Authority.make(t);
    const pair = await authority.sign({ ips: ['127.0.0.1'] });
    const first = await reader(t, pair);
    const [running, write] = await TO[name](t, first.port, authority);
    await write('before\n');
    await until('the first line', () => first.text() === 'before\n');
    await first.close();
    await running.says(/trying again in/);
    await write('meanwhile\n');
    const second = await reader(t, pair, first.port);
    await until('the second line', () => second.text() === 'meanwhile\n');
    t.equal(await running.stop(), 0, running.stderr);
  });

  t.test(`${name}: a TLS destination that stalls does not hold up a stop`, async (t) => {
    const authority = await Authority.make(t);
    const to = await reader(t, await authority.sign({ ips: ['127.0.0.1'] }), 0, true);
    const [running, write] = await TO[name](t, to.port, authority);
    await running.says('connected to');
    for (let i = 0; i < 8; i++) await write(`${'x'.repeat(60_000)}\n`);
    const at = performance.now();
    t.equal(await running.stop(), 0, running.stderr);
    t.ok(performance.now() - at < 5000);
  });
}

t.test(
  'a TLS destination that asks for a certificate in vain is a failed connect, and gets nothing',
  async (t) => {
    const authority = await Authority.make(t);
    const pair = await authority.sign({ ips: ['127.0.0.1'] });
    const file = join(t.testdir(), 'out');
    const server = start(t, 'server', [
      ...['--path', file, '--listen-addr', 'tls://127.0.0.1:0', '--tls-client-ca', authority.file],
      ...['--tls-cert', pair.certFile, '--tls-key', pair.keyFile],
    ]);
    const to = `tls://127.0.0.1:${await server.port()}`;
    const client = start(t, 'client', [
      '--path',
      '-',
      '--server-addr',
      to,
      '--tls-ca',
      authority.file,
      '--linger',
      '1s',
    ]);
    client.child.stdin!.end('lost\n');
    t.equal(await client.exited, 1, client.stderr);
    t.match(client.stderr, /certificate required; trying again in|trying again in/);
    t.notMatch(client.stderr, 'connected to');
    t.match(client.stderr, '1 datagram not sent');
  },
);

t.test('a server accepts TLS senders, and reads the certificate again on SIGHUP', async (t) => {
  const authority = await Authority.make(t);
  const pair = await authority.sign({ dns: ['collector.test'] });
  const file = join(t.testdir(), 'out');
  const server = start(t, 'server', [
    ...['--path', file, '--listen-addr', 'tls://127.0.0.1:0'],
    ...['--tls-cert', pair.certFile, '--tls-key', pair.keyFile],
  ]);
  const port = await server.port();
  const sender = () =>
    new Promise<TLSSocket>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', ca: authority.pem, servername: 'collector.test' });
      socket.once('secureConnect', () => resolve(socket));
      socket.once('error', reject);
      t.teardown(() => socket.destroy());
    });
  const first = await sender();
  first.write('before\n');
  await until('the line', () => readFileSync(file, 'utf8') === 'before\n');
  server.child.kill('SIGHUP');
  await server.says('tls: certificates read again');
  first.end('same connection\n');
  (await sender()).end('after\n');
  await until('all lines', () => readFileSync(file, 'utf8').split('\n').length === 4);
  t.equal(await server.stop(), 0, server.stderr);
  const bare = start(t, 'server', ['--path', file, '--listen-addr', 'tls://127.0.0.1:0']);
  t.equal(await bare.exited, 2);
  t.match(
    bare.stderr,
    'mproxy-server: --tls-cert: missing: a tls:// listener needs a certificate and its key',
  );
});
