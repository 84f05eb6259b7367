import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as secure } from 'node:tls';
import t, { type Test } from 'tap';
import { ask } from '../status/http.js';
import { Authority } from '../support/certificates.js';
import { start } from '../support/command.js';
import { until } from '../support/wait.js';
import { Client, origin, refusal } from './running.js';

/** An origin that holds what is below /hold until the test lets it go. */
async function holdingOrigin(t: Test) {
  const held: ServerResponse[] = [];
  const url = await origin(t, (request, response) => {
    if (request.url!.startsWith('/hold')) held.push(response);
    else response.end(request.url);
  });
  return { url, held };
}

async function program(t: Test, url: string, ...args: string[]) {
  const running = start(t, 'gateway', [
    ...['--listen-addr', '127.0.0.1:0', '--status-addr', '127.0.0.1:0', '--route', `/=${url}`],
    ...['--workers', '2', ...args],
  ]);
  const port = await running.port();
  return { running, port, status: /status: (http:\S+)\//.exec(running.stderr)![1]! };
}

t.test(
  'a stop: requests in progress are answered, idle connections close, new ones are refused',
  async (t) => {
    const { url, held } = await holdingOrigin(t);
    const { running, port, status } = await program(t, url);
    const idle = new Client(t, port);
    const busy = new Client(t, port);
    t.match((await idle.get('/x')).head, /^HTTP\/1\.1 200 OK\r\n(?!.*connection: close)/is);
    busy.send('/hold');
    await until('it is held', () => held.length === 1);
    t.equal((await ask(`${status}/healthz`)).status, 200);
    running.child.kill('SIGTERM');
    await until('the idle one is closed', () => idle.closed);
    await until('new ones are refused', async () => (await refusal(port)) === 'ECONNREFUSED');
    t.notOk(busy.closed);
    const health = await ask(`${status}/healthz`);
    t.strictSame([health.status, health.body], [503, 'stopping\n']);
    held[0]!.end('at last');
    const { body, head } = await busy.response();
    t.equal(body, 'at last');
    t.match(head, /^connection: close\r$/im);
    t.equal(await running.exited, 0);
    t.notMatch(running.stderr, /lost|cut/);
  },
);

t.test('--drain: it goes on accepting for that time, and says that it is stopping', async (t) => {
  const { url } = await holdingOrigin(t);
  const { running, port, status } = await program(t, url, '--drain', '2s');
  const at = performance.now();
  running.child.kill('SIGTERM');
  await until('the health fails', async () => (await ask(`${status}/healthz`)).status === 503);
  t.equal((await new Client(t, port).get('/x')).status, 200, 'a new connection is served');
  await until('new ones are refused', async () => (await refusal(port)) === 'ECONNREFUSED');
  t.ok(performance.now() - at >= 2000, 'not before that time is over');
  t.equal(await running.exited, 0);
});

t.test('--grace: what does not end in that time is cut and counted', async (t) => {
  const { url, held } = await holdingOrigin(t);
  const { running, port } = await program(t, url, '--grace', '300ms');
  const begun = new Client(t, port);
  const waiting = new Client(t, port);
  begun.send('/hold');
  waiting.send('/hold');
  await until('both are held', () => held.length === 2);
  held[0]!.writeHead(200, { 'content-length': 100 });
  held[0]!.write('the beginning');
  running.child.kill('SIGTERM');
  t.equal(await running.exited, 0);
  t.match(running.stderr, /stopped: 2 connections did not end within 300 ms, and were cut/);
  t.match(running.stderr, /lost in all: stop: 2 connections: they did not end in time; raise --grace/);
  await until('both clients know', () => begun.closed && waiting.closed);
});

t.test('a stop: a client in its TLS handshake is served', async (t) => {
  const authority = await Authority.make(t);
  const { certFile, keyFile } = await authority.sign({ ips: ['127.0.0.1'] });
  const { url } = await holdingOrigin(t);
  const listen = ['--listen-addr', 'tls://127.0.0.1:0', '--tls-cert', certFile, '--tls-key', keyFile];
  const running = start(t, 'gateway', [...listen, '--route', `/=${url}`, '--workers', '1']);
  const port = await running.port();
  const raw = connect(port, '127.0.0.1');
  t.teardown(() => raw.destroy());
  await once(raw, 'connect');
  running.child.kill('SIGTERM');
  await until('new ones are refused', async () => (await refusal(port)) === 'ECONNREFUSED');
  const socket = secure({ socket: raw, ca: authority.pem, host: '127.0.0.1' });
  socket.write('GET /late HTTP/1.1\r\nHost: h\r\n\r\n');
  t.match(await text(socket), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n\/late$/s);
  t.equal(await running.exited, 0);
});

t.test('a second signal ends it at once', async (t) => {
  const { url, held } = await holdingOrigin(t);
  const { running, port } = await program(t, url);
  new Client(t, port).send('/hold');
  await until('it is held', () => held.length === 1);
  running.child.kill('SIGTERM');
  await until('it stops', async () => (await refusal(port)) === 'ECONNREFUSED');
  running.child.kill('SIGTERM');
  await running.exited;
  t.equal(running.signal, 'SIGTERM');
});
