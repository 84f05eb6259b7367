// Tunnels through the whole program: what allows them, what layers do with them, their time-out, what is counted and logged.
import t, { type Test } from 'tap';
import { type TunnelOrigin, tunnel, tunnelClient, tunnelOrigin, upgrade } from '../service/tunnels.js';
import { until } from '../support/wait.js';
import { type Program, program } from './program.js';
import { rawClient } from './raw-client.js';
import { endsAfter, SHORT } from './timeouts.js';

const OK = 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok';

async function proxied(
  t: Test,
  config: Record<string, unknown> = {},
  route: Record<string, unknown> = {},
): Promise<{ origin: TunnelOrigin; gateway: Program }> {
  const origin = await tunnelOrigin(t);
  const routes = [
    { path: '/respond', respond: { status: 202, body: 'ok' } },
    { path: '/', upstream: origin.url, ...route },
  ];
  return { origin, gateway: await program(t, { routes, ...config }) };
}

/** A request whose Upgrade is taken away. */
async function isPlain(t: Test, { origin, gateway }: Awaited<ReturnType<typeof proxied>>, text: string) {
  origin.onHead = (end) => end.send(OK);
  const client = (await tunnelClient(t, gateway.port)).send(text);
  await client.has('ok');
  t.equal(client.status, 200);
  t.strictSame(origin.ends.at(-1)!.lines('upgrade'), []);
}

t.test(
  'websocket needs no word in the configuration, and has no tunnel where protocols leave it out',
  async (t) => {
    const { origin, gateway } = await proxied(t);
    const { client, upstream } = await tunnel(t, gateway.port, origin, '/a%7eb?c');
    t.match(upstream.head, /^GET \/a~b\?c HTTP\/1\.1\r\n/);
    t.strictSame(upstream.lines('x-forwarded-for'), ['X-Forwarded-For: 127.0.0.1']);
    client.send('through it');
    await upstream.has('through it');
    t.notMatch(gateway.running.stderr, /websocket/i);
    await isPlain(t, await proxied(t, { protocols: ['http1'] }), upgrade());
  },
);

t.test('upgrades: further protocols, in any case, without websocket if protocols leave it out', async (t) => {
  const all = await proxied(t, { protocols: ['http1'], upgrades: ['chat', 'TCP'] });
  const { origin, gateway } = all;
  origin.onHead = (end) =>
    end.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: Tcp\r\n\r\n');
  const client = (await tunnelClient(t, gateway.port)).send(upgrade().replace('websocket', 'tcp'));
  await client.has('\r\n\r\n');
  t.equal(client.status, 101);
  client.send('through it');
  await origin.ends[0]!.has('through it');
  await isPlain(t, all, upgrade());
});

t.test('what a layer answers comes before a tunnel; what it changes is in the 101', async (t) => {
  const { origin, gateway } = await proxied(
    t,
    {},
    {
      middlewares: [
        { type: 'redirect', config: { strip_prefix: '/old', to: '/' } },
        {
          type: 'headers',
          config: {
            request: { set: { 'x-to': 'origin' } },
            response: { set: { 'x-by': 'gateway' }, remove: ['x-own'] },
          },
        },
      ],
    },
  );
  origin.onHead = (end) =>
    end.send(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade, X-Hop\r\nX-Hop: 1\r\nX-Own: 1\r\nKeep-Alive: timeout=5\r\n\r\n',
    );
  const { client, upstream } = await tunnel(t, gateway.port, origin);
  t.strictSame(upstream.lines('x-to'), ['x-to: origin']);
  t.strictSame(client.lines('x-by'), ['x-by: gateway']);
  for (const name of ['x-own', 'x-hop', 'keep-alive']) t.strictSame(client.lines(name), []);
  t.strictSame(client.lines('connection'), ['Connection: upgrade']);
  for (const [path, status] of [
    ['/old/x', 302],
    ['/respond', 202],
  ] as const) {
    const answered = await rawClient(t, gateway.port);
    answered.send(`${upgrade(path)}GET /evil HTTP/1.1\r\nHost: h\r\n\r\n`);
    await answered.ended();
    t.strictSame([answered.statuses, answered.end], [[status], 'end'], path);
  }
  t.equal(origin.ends.length, 1);
});

t.test('ip_allow refuses tunnels like other requests', async (t) => {
  const { origin, gateway } = await proxied(t, {
    middlewares: [{ type: 'ip_allow', config: { allow: ['192.0.2.0/24'] } }],
  });
  const client = await rawClient(t, gateway.port);
  client.send(upgrade());
  await client.ended();
  t.strictSame([client.statuses, origin.ends.length], [[403], 0]);
});

t.test('timeouts.tunnel of the document, and of a route', async (t) => {
  for (const [document, route] of [
    [{ tunnel: SHORT }, {}],
    [{ tunnel: '1h' }, { tunnel: SHORT }],
  ].map((pair) => pair.map((one) => ({ timeouts: stringsOf(one!) })))) {
    const { origin, gateway } = await proxied(t, document, route);
    await tunnel(t, gateway.port, origin);
    const client = await rawClient(t, gateway.port);
    client.send(upgrade('/silent'));
    await until('it is open', () => client.text.includes('\r\n\r\n'));
    await endsAfter(t, client);
    t.equal(client.end, 'reset');
    t.match(await gateway.logged('/silent'), [
      { status: 101, received: 0, sent: 0, cut: 'nothing passed in either direction in time' },
    ]);
  }
});

t.test('a tunnel is counted while it is open, and has one record when it has ended', async (t) => {
  const { origin, gateway } = await proxied(t);
  const labels = '{route="/"}';
  const counted = async (name: string, value: number) =>
    until(`${name} is ${value}`, async () => (await gateway.metric(`${name}${labels}`)) === value);
  const first = await tunnel(t, gateway.port, origin, '/first');
  const second = await tunnel(t, gateway.port, origin, '/second');
  await counted('http_tunnels', 2);
  t.equal(await gateway.metric(`http_upgrades_total${labels}`), 2);
  t.equal(await gateway.requestsNow(), 0, 'they are no requests any more');
  t.strictSame(gateway.lines, []);

  first.client.send('12345');
  await first.upstream.has('12345');
  first.upstream.send('123');
  await first.client.has('123');
  first.client.socket.end();
  await first.upstream.ended();
  first.upstream.socket.end();
  await counted('http_tunnels', 1);
  const [record, ...more] = await gateway.logged('/first');
  t.match(record, { method: 'GET', status: 101, received: 5, sent: 3, upstream: origin.url, route: '/' });
  t.notOk('cut' in record!);
  t.strictSame(more, []);

  second.client.socket.resetAndDestroy();
  await counted('http_tunnels', 0);
  t.match(await gateway.logged('/second'), [{ status: 101, received: 0, sent: 0, cut: 'client left' }]);
  t.equal(await gateway.metric(`http_upgrades_total${labels}`), 2);
  t.equal(await gateway.metric(`http_tunnel_received_bytes_total${labels}`), 5);
  t.equal(await gateway.metric(`http_tunnel_sent_bytes_total${labels}`), 3);
  t.equal(await gateway.metric('http_requests_total{route="/",status_class="1xx",protocol="HTTP/1.1"}'), 2);
  t.equal(await gateway.metric(`http_request_duration_seconds_count${labels}`), 0, 'no latency of requests');
  t.equal(await gateway.metric(`http_received_body_bytes_total${labels}`), 0);
  t.strictSame(await gateway.table('tunnels'), [
    ['/respond', 0, 0, 0, 0],
    ['/', 2, 0, 5, 3],
  ]);
});

t.test('a refused tunnel is an ordinary request', async (t) => {
  const { origin, gateway } = await proxied(t);
  origin.onHead = (end) => end.send(OK);
  const client = (await tunnelClient(t, gateway.port)).send(`${upgrade('/refused')}behind it`);
  await client.ended();
  t.match(await gateway.logged('/refused'), [{ status: 200, sent: 2 }]);
  await until('it is counted', async () => {
    return (await gateway.metric('http_request_duration_seconds_count{route="/"}')) === 1;
  });
  t.equal(await gateway.metric('http_upgrades_total{route="/"}'), 0);
  t.equal(await gateway.requestsNow(), 0);
  t.strictSame(await gateway.table('tunnels'), undefined);
});

t.test('a tunnel is never the idle connection that makes room for another', async (t) => {
  const { origin, gateway } = await proxied(t, { max_connections: 2 });
  const { client, upstream } = await tunnel(t, gateway.port, origin);
  const idle = await rawClient(t, gateway.port);
  idle.send('GET /respond HTTP/1.1\r\nHost: h\r\n\r\n');
  await idle.answered();
  const next = await rawClient(t, gateway.port);
  next.send('GET /respond HTTP/1.1\r\nHost: h\r\n\r\n');
  await next.answered();
  await idle.ended();
  client.send('still open');
  await upstream.has('still open');
  t.equal(client.end, 'open');
  await until('both are counted', async () => (await gateway.connections()) === 2);
});

function stringsOf(times: Record<string, number | string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(times).map(([name, time]) => [name, typeof time === 'number' ? `${time}ms` : time]),
  );
}
