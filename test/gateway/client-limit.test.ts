import { connect, type Socket } from 'node:net';
import { clientMemory, SharedClientCounts } from 'mproxy-gateway/counters/client-counts';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { Client, gateway, IS_NODE, origin } from './running.js';
import { askSecurely } from './tls-client.js';

t.test('counts are those of all workers; those of a dead worker are cleared by its successor', async (t) => {
  const memory = clientMemory(3);
  const [a, b] = [new SharedClientCounts(memory, 0), new SharedClientCounts(memory, 2)];
  t.equal(a.add('192.0.2.1'), 1);
  t.equal(b.add('192.0.2.1'), 2);
  t.equal(b.add('192.0.2.2'), 1);
  a.remove('192.0.2.1');
  t.equal(a.add('192.0.2.1'), 2);
  const successor = new SharedClientCounts(memory, 2);
  t.equal(successor.add('192.0.2.1'), 2, 'that of the first worker is left');
});

t.test('many clients do not disturb each other', async (t) => {
  const counts = new SharedClientCounts(clientMemory(1), 0);
  const clients = Array.from({ length: 10_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const wrong = clients.filter((client) => counts.add(client) > 1);
  t.ok(wrong.length < 50, `${wrong.length} of 10,000 are counted as several`);
  for (const client of clients) counts.remove(client);
  t.strictSame(
    clients.filter((client) => counts.add(client) !== 1 || counts.remove(client) !== undefined),
    [],
    'nothing is left of them',
  );
});

t.test('max_connections_per_ip holds over all workers', async (t) => {
  const routes = [{ path: '/', upstream: await origin(t) }];
  const config = { thread_count: IS_NODE ? 1 : 2, max_connections_per_ip: 4, routes };
  const running = await gateway(t, { config });
  const clients = [];
  for (let i = 0; i < 4; i++) {
    const client = new Client(t, running.port);
    t.equal((await client.get('/a')).status, 200);
    clients.push(client);
  }
  await t.rejects(new Client(t, running.port).get('/b'), /closed after ""/);
  t.equal(running.metric('http_connections_refused'), 1);
  t.equal((await clients[0]!.get('/c')).status, 200, 'the others go on');
});

t.test('max_connections_per_ip counts connections in their TLS handshake', async (t) => {
  const authority = await Authority.make(t);
  const { certFile, keyFile } = await authority.sign({ dns: ['a.test'] });
  const running = await gateway(t, {
    ...{ listenAddr: ['tls://127.0.0.1:0', '127.0.0.1:0'], tlsCert: certFile, tlsKey: keyFile },
    ...{ workers: IS_NODE ? 1 : 4 },
    config: { max_connections_per_ip: 3, routes: [{ path: '/', respond: { body: 'here' } }] },
  });
  const { listening } = await running.handle.ready;
  const [secure, plain] = listening.map(({ port }) => port) as [number, number];
  const refused = () => running.metric('http_connections_refused');
  const silent = [1, 2, 3, 4].map(() => connect(secure, '127.0.0.1').on('error', () => undefined));
  t.teardown(() => {
    for (const socket of silent) socket.destroy();
  });
  await until('one of the silent is refused', () => refused() === 1);
  const ask = (localAddress: string) =>
    askSecurely(t, secure, { sni: 'a.test', host: 'a.test', localAddress });
  t.equal(await ask('127.0.0.1'), 'closed');
  await t.rejects(new Client(t, plain).get('/'), /closed after ""/, 'of any listener');
  t.match(await ask('127.0.0.2'), { text: /here$/ }, 'others are not disturbed');
  for (const socket of silent) socket.resetAndDestroy();
  await until('they are not counted any more', async () => {
    const answered = await ask('127.0.0.1');
    return typeof answered === 'object' && answered.text.endsWith('here');
  });
  const before = refused();
  for (let i = 0; i < 10; i++) {
    const answered = (await ask('127.0.0.1')) as { socket: Socket };
    answered.socket.destroy();
    await until('it has left', () => running.metric('http_connections') === 0);
  }
  t.equal(refused(), before, 'ended handshakes leave nothing behind');
});

t.test('trusted proxies are not limited', async (t) => {
  const routes = [{ path: '/', upstream: await origin(t) }];
  const running = await gateway(t, { config: { max_connections_per_ip: 1, routes }, trust: '127.0.0.1' });
  const clients = [1, 2, 3].map(() => new Client(t, running.port));
  for (const client of clients) t.equal((await client.get('/')).status, 200);
});

t.test('limits.chunk_overhead bounds chunk extensions', async (t) => {
  const routes = [
    {
      path: '/',
      upstream: await origin(t, (request, response) => request.resume().on('end', () => response.end('ok'))),
    },
  ];
  const running = await gateway(t, { config: { limits: { chunk_overhead: 100 }, routes } });
  for (const [length, status] of [
    [50, 200],
    [200, 400],
  ] as const) {
    const client = new Client(t, running.port);
    const chunk = `2;a=${'x'.repeat(length)}\r\nab\r\n0\r\n\r\n`;
    client.socket.write(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`);
    t.equal((await client.response()).status, status);
  }
});
