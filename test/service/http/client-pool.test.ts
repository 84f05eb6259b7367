import { join } from 'node:path';
import { Pool } from 'mproxy-service/http/client-pool';
import t from 'tap';
import { ENGINES } from '../../net/engines.js';
import { shortFolder } from '../../support/short-folder.js';
import { until } from '../../support/wait.js';
import { ask, client, context, request } from '../exchanges.js';
import { ok, origin, type Visit } from '../origin.js';

for (const { name, streams } of ENGINES) {
  t.test(`${name}: the connection that was used last is used first`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    server.onVisit = () => undefined;
    const answers = [1, 2, 3].map(() => ask(http));
    await server.visited(3);
    for (const [i, visit] of server.visits.slice(0, 3).entries()) {
      visit.answer(ok('ok'));
      await answers[i]!.ended();
    }
    const last = server.visits[2]!.socket;
    server.onVisit = (visit) => visit.answer(ok('ok'));
    for (let i = 0; i < 5; i++) {
      await ask(http).ended();
      t.equal(server.visits.at(-1)!.socket, last);
    }
  });

  t.test(`${name}: a connection is free before the end of its response is told`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    const first = ask(http);
    let second: ReturnType<typeof ask> | undefined;
    const end = first.onEnd.bind(first);
    first.onEnd = (trailers) => {
      second = ask(http);
      end(trailers);
    };
    await first.ended();
    t.equal((await second!.ended()).shown, '200 ok');
    t.equal(server.sockets.length, 1);
  });

  t.test(`${name}: idle connections close after a time, or a second before the upstream's`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url], pool: { idle: 300 } });
    await ask(http).ended();
    const since = performance.now();
    await until('it is closed', () => server.open === 0);
    t.ok(performance.now() - since >= 290);
    const soon = client(t, streams, { upstreams: [server.url] });
    server.onVisit = (visit) => visit.answer(ok('ok', 'Keep-Alive: timeout=2, max=5\r\n'));
    const answer = await ask(soon).ended();
    t.equal(answer.field('keep-alive'), undefined);
    await until('it is closed', () => server.open === 0, 1900);
    server.onVisit = (visit) => visit.answer(ok('ok', 'Keep-Alive: timeout=1\r\n'));
    await ask(soon).ended();
    t.equal(soon.upstreams[0]!.pool.open.size, 0, 'no second is left: it is not kept');
  });

  t.test(`${name}: connections, idle ones and waiting requests are bounded`, async (t) => {
    const server = await origin(t);
    const pool = { maxConnections: 2, maxIdle: 1, maxQueue: 1 };
    const http = client(t, streams, { upstreams: [server.url], pool, timeouts: { connect: 300 } });
    server.onVisit = () => undefined;
    const answers = [1, 2, 3].map(() => ask(http));
    await server.visited(2);
    t.equal(http.ready, false);
    const refused = await ask(http).ended();
    t.equal(refused.shown, '503 too many requests wait for the upstream');
    const late = await answers[2]!.ended();
    t.equal(late.shown, '503 no connection to the upstream became free in time');
    const waits = ask(http);
    server.visits[0]!.answer(ok('one'));
    await server.visited(3);
    t.equal(server.sockets.length, 2, 'it gets the connection that became free');
    for (const visit of server.visits.slice(1)) visit.answer(ok('more'));
    t.equal((await answers[0]!.ended()).shown, '200 one');
    t.equal((await answers[1]!.ended()).shown, '200 more');
    t.equal((await waits.ended()).shown, '200 more');
    await until('one is kept', () => server.open === 1);
    t.equal(http.upstreams[0]!.pool.idle, 1);
    t.equal(http.ready, true);
  });

  t.test(`${name}: whoever leaves the queue, or while it connects, is not sent`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url], pool: { maxConnections: 1 } });
    server.onVisit = () => undefined;
    const first = ask(http);
    await server.visited();
    const how = context();
    const queued = ask(http, request(), how);
    how.abort(new Error('left'));
    t.match((await queued.ended()).end, { message: 'left' });
    server.onVisit = (visit) => visit.answer(ok('next'));
    server.visits[0]!.answer(ok('ok'));
    await first.ended();
    const other = client(t, streams, { upstreams: [server.url] });
    const connecting = context();
    ask(other, request(), connecting);
    connecting.abort(new Error('left'));
    await until('the connection is kept for others', () => other.upstreams[0]!.pool.idle === 1);
    t.equal(server.visits.length, 1);
    t.equal((await ask(other).ended()).shown, '200 next');
    t.equal(server.sockets.length, 2);
  });

  t.test(`${name}: close ends idle connections at once, others after their response`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    server.onVisit = (visit: Visit) =>
      visit.text.startsWith('GET /slow') ? undefined : visit.answer(ok('ok'));
    const slow = ask(http, request({ path: '/slow' }));
    await server.visited();
    await ask(http).ended();
    http.close();
    await until('the idle one is closed', () => server.open === 1);
    server.visits[0]!.answer(ok('slow'));
    t.equal((await slow.ended()).shown, '200 slow');
    await until('the other one is closed', () => server.open === 0);
  });

  t.test(`${name}: a Unix socket is an upstream`, async (t) => {
    const folder = shortFolder(t);
    const path = join(folder, 'a b.sock');
    const server = await origin(t, { path });
    const http = client(t, streams, { upstreams: [`unix:${path}`], hostHeader: 'upstream' });
    const how = context();
    t.equal((await ask(http, request(), how).ended()).shown, '200 ok');
    t.equal(how.upstream, `unix:${path}`);
    t.strictSame(server.visits[0]!.lines('host'), ['Host: localhost']);
    server.server.close();
    server.sockets[0]!.destroy();
    await until('it is gone', () => http.upstreams[0]!.pool.open.size === 0);
    t.equal((await ask(http).ended()).shown, '502 the upstream is unreachable');
  });

  t.test(`${name}: upstreams take turns, and Host is the client's or theirs`, async (t) => {
    const servers = [await origin(t), await origin(t), await origin(t)];
    const upstreams = servers.map(({ url }) => url);
    const http = client(t, streams, { upstreams });
    for (let i = 0; i < 9; i++) await ask(http).ended();
    t.strictSame(
      servers.map(({ visits }) => visits.length),
      [3, 3, 3],
    );
    t.strictSame(servers[0]!.visits[0]!.lines('host'), ['Host: example.com']);
    const own = client(t, streams, { upstreams: [upstreams[0]!], hostHeader: 'upstream' });
    await ask(own).ended();
    await ask(http, request({ version: '1.0', authority: '' })).ended();
    for (const visit of servers[0]!.visits.slice(3))
      t.strictSame(visit.lines('host'), [`Host: 127.0.0.1:${servers[0]!.port}`]);
    t.equal(servers[0]!.visits.length, 5);
  });

  t.test(`${name}: a PROXY header precedes each request, on a connection of its own`, async (t) => {
    const server = await origin(t);
    let text = '';
    server.onConnection = (socket) =>
      socket.on('data', (bytes) => {
        text += bytes.toString('latin1');
      });
    for (const sendProxy of ['v1', 'v2'] as const) {
      const http = client(t, streams, { upstreams: [server.url], sendProxy });
      for (let i = 0; i < 2; i++) {
        text = '';
        t.equal((await ask(http).ended()).shown, '200 ok');
        const v2 = '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x0f\xa0\0\x50';
        const header = sendProxy === 'v1' ? 'PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\n' : v2;
        t.ok(text.startsWith(`${header}GET / HTTP/1.1\r\n`), JSON.stringify(text));
      }
    }
    t.equal(server.sockets.length, 4);
  });
}

t.test('an upstream is a URL of a scheme, a host and a port, or the path of a Unix socket', async (t) => {
  const { streams } = ENGINES[0]!;
  const wrong = [
    '',
    'x',
    'https://a',
    'ftp://a',
    'http://a/b',
    'http://a?b',
    'http://u:p@a',
    'http://a#b',
    'unix:a',
    'unix://a/b',
  ];
  for (const url of wrong) t.throws(() => client(t, streams, { upstreams: [url] }), RangeError, url);
  t.throws(() => client(t, streams, { upstreams: [] }), { message: 'no upstreams' });
  const names = client(t, streams, {
    upstreams: ['http://A:80', 'http://[::1]:81/', 'unix:/a%20b'],
  }).upstreams;
  t.strictSame(
    names.map((one) => `${one.name} ${one.authority}`),
    ['http://a a', 'http://[::1]:81 [::1]:81', 'unix:/a b localhost'],
  );
});

/** A pool of numbered connections, and the numbers that waiters got. */
function numberedPool(maxConnections: number) {
  const got: string[] = [];
  let last = 0;
  const pool: Pool<{ number: number; close(): void }> = new Pool(
    { maxConnections, maxIdle: 8, maxQueue: 8 },
    async () => {
      const connection = { number: ++last, close: () => pool.remove(connection) };
      return connection;
    },
  );
  const wait = (name: string, needsNew: boolean) =>
    pool.wait({
      needsNew,
      onConnection: ({ number }) => got.push(`${name} ${number}`),
      onConnectError: (error) => got.push(`${name} ${error}`),
    });
  return { pool, wait, got };
}

t.test('who needs a new connection gets none that had a request', async (t) => {
  const { pool, wait, got } = numberedPool(8);
  wait('first', false);
  await until('it is connected', () => got.length === 1);
  const [used] = pool.open;
  wait('again', true);
  pool.release(used!);
  t.strictSame(got, ['first 1']);
  t.equal(pool.idle, 1);
  await until('it is connected', () => got.length === 2);
  t.strictSame(got, ['first 1', 'again 2']);
});

t.test('who needs a new connection gets one also when others wait before it', async (t) => {
  const { wait, got } = numberedPool(8);
  wait('first', false);
  wait('again', true);
  wait('third', false);
  await until('all are connected', () => got.length === 3);
  t.strictSame(got, ['first 1', 'again 2', 'third 3']);
});

t.test('without room for a new connection, one that becomes free makes room', async (t) => {
  const { pool, wait, got } = numberedPool(1);
  wait('first', false);
  await until('it is connected', () => got.length === 1);
  const [used] = pool.open;
  wait('again', true);
  wait('third', false);
  pool.release(used!);
  t.strictSame(got, ['first 1', 'third 1'], 'another one takes it');
  pool.release(used!);
  await until('it is connected', () => got.length === 3);
  t.strictSame(got.slice(2), ['again 2']);
  t.equal(pool.open.size, 1);
});
