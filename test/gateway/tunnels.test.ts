import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { until } from '../support/wait.js';
import { type Program, program } from './program.js';
import { rawClient } from './raw-client.js';
import { behind, SWITCHED, type TunnelOrigin, tunnel, tunnelOrigin, upgrade } from './tunnel-ends.js';

/** How soon one end notices that the other has left, in milliseconds. */
const SOON = 2000;

async function start(
  t: Test,
  more: Record<string, unknown> = {},
): Promise<{ gateway: Program; origin: TunnelOrigin }> {
  const origin = await tunnelOrigin(t);
  return { origin, gateway: await program(t, { routes: [{ path: '/', upstream: origin.url }], ...more }) };
}

t.test('bytes pass in both directions after a 101, and one record tells of it', async (t) => {
  const { origin, gateway } = await start(t);
  const { near, far } = await tunnel(t, gateway.port, origin);
  t.match(far.head, /^GET \/ HTTP\/1\.1\r\n/);
  t.match(far.head, /\r\nupgrade: websocket\r\n/i);
  t.match(far.head, /\r\nConnection: upgrade\r\n/i);
  t.match(far.head, /\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n/);
  t.match(near.text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  t.match(near.text, /\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i);
  t.match(near.text, /\r\nupgrade: websocket\r\n/i);
  t.match(near.text, /\r\nConnection: upgrade\r\n/i);
  t.notMatch(near.text, /transfer-encoding|content-length/i);
  near.send('GET /no-request HTTP/1.1\r\n\r\n');
  await far.has('GET /no-request HTTP/1.1\r\n\r\n');
  far.socket.write('HTTP/1.1 200 OK\r\n\r\n');
  await until('it arrives', () => behind(near) === 'HTTP/1.1 200 OK\r\n\r\n');
  near.socket.end();
  await until('the origin sees the end', () => far.end === 'end');
  far.socket.end();
  await near.ended();
  t.equal(near.end, 'end');
  const [record] = await gateway.logged('/');
  t.match(record, { method: 'GET', status: 101, received: 28, sent: 19, cut: undefined });
});

t.test('bytes behind the request wait for the 101', async (t) => {
  const { origin, gateway } = await start(t);
  const near = await rawClient(t, gateway.port);
  near.send(`${upgrade()}early`);
  const far = await origin.connected();
  near.send(' and more');
  await wait(50);
  t.equal(far.rest, '', 'nothing passes before');
  far.socket.write(`${SWITCHED}welcome`);
  await far.has('early and more');
  await until('what came with the 101 arrives', () => behind(near) === 'welcome');
});

t.test('behind any other response nothing passes, and the connection closes', async (t) => {
  const { origin, gateway } = await start(t);
  for (const [i, status] of ['200 OK', '403 Forbidden', '426 Upgrade Required'].entries()) {
    const near = await rawClient(t, gateway.port);
    near.send(`${upgrade()}GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n`);
    const far = await origin.connected(i + 1);
    far.socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno`);
    await near.ended();
    t.equal(near.end, 'end');
    t.match(near.text, new RegExp(`^HTTP/1\\.1 ${status}\r\n[^]*\r\n\r\nno$`));
    t.match(near.text, /\r\nConnection: close\r\n/i);
    t.equal(far.rest, '');
  }
  t.equal(gateway.lines.filter(({ path }) => path === '/smuggled').length, 0);
});

t.test('each direction ends by itself', async (t) => {
  const { origin, gateway } = await start(t);
  const first = await tunnel(t, gateway.port, origin);
  first.near.send('last words').socket.end();
  await until('the client has ended', () => first.far.end === 'end');
  t.equal(first.far.rest, 'last words');
  first.far.socket.write('answer');
  await until('the origin goes on', () => behind(first.near) === 'answer');
  first.far.socket.end('.');
  await first.near.ended();
  t.equal(behind(first.near), 'answer.');

  const second = await tunnel(t, gateway.port, origin);
  second.far.socket.end('bye');
  await second.near.ended();
  t.strictSame([second.near.end, behind(second.near)], ['end', 'bye']);
  second.near.send('still here');
  await second.far.has('still here');
  second.near.socket.end();
  await until('the origin sees the end', () => second.far.end === 'end');
  await until('no connection is left', async () => (await gateway.connections()) === 0);
  t.strictSame(
    (await gateway.logged('/', 2)).map(({ status, received, sent, cut }) => [status, received, sent, cut]),
    [
      [101, 10, 7, undefined],
      [101, 10, 3, undefined],
    ],
  );
});

t.test('a reset of one end is a reset of the other', async (t) => {
  const { origin, gateway } = await start(t);
  const first = await tunnel(t, gateway.port, origin);
  first.near.socket.resetAndDestroy();
  await until('the origin notices', () => first.far.end === 'reset', SOON);
  const second = await tunnel(t, gateway.port, origin);
  second.far.socket.resetAndDestroy();
  await second.near.ended(SOON);
  t.equal(second.near.end, 'reset');
  const third = await tunnel(t, gateway.port, origin);
  third.far.socket.end();
  await third.near.ended();
  t.equal(third.near.end, 'end');
  third.far.socket.resetAndDestroy();
  // Once it has read the end, a socket of Node notices by what it writes.
  const notices = () => third.near.send('nobody takes this').end === 'reset';
  await until('the client notices', notices, SOON);
  const records = await gateway.logged('/', 3);
  t.strictSame(
    records.map(({ status, cut }) => [status, cut]),
    [
      [101, 'client left'],
      [101, 'read ECONNRESET'],
      [101, records[2]!.cut],
    ],
  );
  t.type(records[2]!.cut, 'string');
  await until('no connection is left', async () => (await gateway.connections()) === 0);
});

t.test('a 101 that nobody asked for, or to another protocol, is 502', async (t) => {
  const { origin, gateway } = await start(t);
  const cases: [request: string, response: string][] = [
    ['GET / HTTP/1.1\r\nHost: h\r\n\r\n', SWITCHED],
    [upgrade(), SWITCHED.replace('Upgrade: websocket', 'Upgrade: h2c')],
    [upgrade(), SWITCHED.replace('Connection: Upgrade\r\n', '')],
    [upgrade(), SWITCHED.replace('Upgrade: websocket\r\n', '')],
  ];
  for (const [i, [request, response]] of cases.entries()) {
    const near = await rawClient(t, gateway.port);
    near.send(request);
    const far = await origin.connected(i + 1);
    far.socket.write(`${response}bytes of a tunnel`);
    await near.answered();
    t.match(near.text, /^HTTP\/1\.1 502 /);
    t.notMatch(near.text, 'bytes of a tunnel');
    await until('its connection is closed', () => far.end !== 'open', SOON);
    near.socket.destroy();
  }
});

t.test('Upgrade is removed where it is not to be passed on', async (t) => {
  const { origin, gateway } = await start(t, { upgrades: ['MQTT'] });
  const plain = await start(t, { protocols: ['http1'] });
  const fields = 'Host: h\r\nConnection: upgrade\r\n';
  const cases: [why: string, request: string, passes?: string][] = [
    ['h2c', `GET / HTTP/1.1\r\n${fields}Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`],
    ['unknown', `GET / HTTP/1.1\r\n${fields}Upgrade: tls/1.0\r\n\r\n`],
    ['a body', `GET / HTTP/1.1\r\n${fields}Upgrade: websocket\r\nContent-Length: 2\r\n\r\nhi`],
    ['POST', `POST / HTTP/1.1\r\n${fields}Upgrade: websocket\r\nContent-Length: 0\r\n\r\n`],
    ['HTTP/1.0', `GET / HTTP/1.0\r\n${fields}Upgrade: websocket\r\n\r\n`],
    ['not named', 'GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n'],
    ['the first that may', `GET / HTTP/1.1\r\n${fields}Upgrade: h2c, WebSocket, mqtt\r\n\r\n`, 'websocket'],
    ['configured', `GET / HTTP/1.1\r\n${fields}Upgrade: mqtt\r\n\r\n`, 'mqtt'],
  ];
  for (const [i, [why, request, passes]] of cases.entries()) {
    const near = await rawClient(t, gateway.port);
    near.send(request);
    const { head, socket } = await origin.connected(i + 1);
    t.equal(/^upgrade: *(.*)\r$/im.exec(head)?.[1], passes, why);
    t.equal(/^connection: *(.*)\r$/im.exec(head)?.[1], passes && 'upgrade', why);
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    await near.answered();
    near.socket.destroy();
  }
  const near = await rawClient(t, plain.gateway.port);
  near.send(upgrade());
  t.notMatch((await plain.origin.connected()).head, /upgrade/i, 'without websocket in protocols');
});

t.test('a client that leaves before the response ends its request', async (t) => {
  const { origin, gateway } = await start(t);
  const near = await rawClient(t, gateway.port);
  near.send(`${upgrade()}early`);
  const far = await origin.connected();
  near.socket.end();
  await until('the origin notices', () => far.end !== 'open', SOON);
  const [record] = await gateway.logged('/');
  t.equal(record!.status, 499);
});

t.test(
  'a tunnel through which nothing passes is cut, and one with a byte in either direction is not',
  async (t) => {
    const { origin, gateway } = await start(t, { timeouts: { tunnel: '1s' } });
    const silent = await tunnel(t, gateway.port, origin);
    const up = await tunnel(t, gateway.port, origin);
    const down = await tunnel(t, gateway.port, origin);
    const since = performance.now();
    const ticks = setInterval(() => {
      up.near.send('.');
      down.far.socket.write('.');
    }, 100);
    t.teardown(() => clearInterval(ticks));
    await silent.near.ended();
    t.ok(performance.now() - since > 900);
    await until('the origin, too', () => silent.far.end === 'reset');
    t.match(await gateway.logged('/'), [{ status: 101, cut: 'nothing passed in either direction in time' }]);
    await until('two seconds have passed', () => performance.now() - since > 2000);
    t.strictSame([up.near.end, down.near.end], ['open', 'open']);
  },
);

t.test('whoever takes nothing slows the other end down, and nothing is lost', async (t) => {
  const { origin, gateway } = await start(t);
  const { near, far } = await tunnel(t, gateway.port, origin);
  const block = Buffer.alloc(1 << 20, 'x');
  const before = gateway.memory;
  for (const [from, to] of [
    [near.socket, far.socket],
    [far.socket, near.socket],
  ] as const) {
    to.pause();
    let sent = 0;
    // Until nobody takes more.
    while (sent < 64) {
      sent++;
      if (from.write(block)) continue;
      const taken = await Promise.race([
        new Promise<boolean>((resolve) => from.once('drain', () => resolve(true))),
        wait(500).then(() => false),
      ]);
      if (!taken) break;
    }
    t.ok(sent < 64, `it stops after ${sent} MiB`);
    t.ok(gateway.memory - before < 16 << 20, 'and the gateway has none of them');
    to.resume();
    const got = () => (to === far.socket ? far.rest.length : behind(near).length);
    await until('all arrive', () => got() === sent << 20, 20_000);
  }
});
