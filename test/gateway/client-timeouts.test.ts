// The time-outs of section 7 in which a client is awaited, with their statuses, by the configuration.
import t from 'tap';
import { until } from '../support/wait.js';
import { program } from './program.js';
import { rawClient } from './raw-client.js';
import { recordingOrigin } from './recording-origin.js';
import { endsAfter, LONG, proxied, SHORT } from './timeouts.js';

t.test('a connection without a byte is closed', async (t) => {
  const { client } = await proxied(t, { request_head: `${SHORT}ms` });
  await endsAfter(t, client);
  t.strictSame([client.end, client.text], ['end', '']);
});

t.test('a head that is not complete: 408, also if it comes byte by byte', async (t) => {
  const { client, gateway, origin } = await proxied(t, { request_head: `${SHORT}ms` });
  const other = await rawClient(t, gateway.port);
  client.send('GET / HTTP/1.1\r\nHost: h\r\n');
  other.send('G');
  const trickle = setInterval(() => other.send('E'), 50);
  t.teardown(() => clearInterval(trickle));
  await endsAfter(t, client);
  await other.ended();
  for (const one of [client, other]) {
    await one.ended();
    t.match(one.answers, [{ status: 408, body: 'request head timed out\n' }]);
  }
  await until('they are logged', () => gateway.lines.length === 2);
  for (const line of gateway.lines) t.match(line, { status: 408, cut: 'request head timed out' });
  t.strictSame(origin.requests, []);
});

t.test('the head of a second request has the same time', async (t) => {
  const { client } = await proxied(t, { request_head: `${SHORT}ms` });
  client.send('GET /1 HTTP/1.1\r\nHost: h\r\n\r\n');
  await client.answered();
  client.send('GET /2 HTTP/1.1\r\n');
  await client.ended();
  t.strictSame(client.statuses, [200, 408]);
});

for (const key of ['timeouts', 'connection_timeout_ms']) {
  t.test(`a kept connection is closed (${key})`, async (t) => {
    const origin = await recordingOrigin(t);
    const { idle: _, ...others } = LONG;
    const gateway = await program(t, {
      routes: [{ path: '/', upstream: origin.url }],
      ...(key === 'timeouts'
        ? { timeouts: { ...LONG, idle: `${SHORT}ms` } }
        : { timeouts: others, connection_timeout_ms: SHORT }),
    });
    const client = await rawClient(t, gateway.port);
    client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await client.answered();
    const from = performance.now();
    await client.ended();
    t.ok(performance.now() - from >= SHORT / 2);
    t.equal(client.end, 'end');
    t.strictSame(client.statuses, [200]);
  });
}

t.test('a request body without a byte: 408', async (t) => {
  const { client, gateway, origin } = await proxied(t, { request_body: `${SHORT}ms` });
  client.send('POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc');
  await endsAfter(t, client);
  await client.ended();
  t.match(client.answers, [{ status: 408, body: 'request body timed out\n' }]);
  t.match((await gateway.logged('/a'))[0], { status: 408, received: 3 });
  await until('its request ends at the origin', () => origin.open === 0);
  t.equal(origin.requests[0]!.isComplete, false);
});

t.test('a request body that is too slow on average: 408', async (t) => {
  const { client } = await proxied(t, { request_body: `${SHORT}ms`, request_body_rate: 1000 });
  client.send('POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n');
  const trickle = setInterval(() => client.send('x'.repeat(10)), 50);
  t.teardown(() => clearInterval(trickle));
  await endsAfter(t, client);
  await client.ended();
  t.match(client.answers, [{ status: 408 }]);
});

t.test('a request body is not awaited while the origin takes nothing of it', async (t) => {
  const { client, origin } = await proxied(t, { request_body: `${SHORT}ms` });
  origin.onHead = ({ socket }) => socket.pause();
  client
    .send(`POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n`)
    .send(Buffer.alloc(20_000_000));
  const { socket } = await origin.received();
  await new Promise((resolve) => setTimeout(resolve, 3 * SHORT));
  t.equal(client.end, 'open');
  socket.resume();
  t.match((await client.answered())[0], { status: 200 });
});

t.test('a client that takes nothing is cut', async (t) => {
  const { client, gateway, origin } = await proxied(t, { send: `${SHORT}ms` });
  origin.onRequest = (received) =>
    received.answer(`HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n${'x'.repeat(50_000_000)}`);
  client.socket.pause();
  client.send('GET /a HTTP/1.1\r\nHost: h\r\n\r\n');
  const [line] = await gateway.logged('/a');
  t.match(line, { status: 200, cut: 'the client takes nothing' });
  await until('its request ends at the origin', () => origin.open === 0);
  await until('so does its connection', async () => (await gateway.connections()) === 0);
  client.socket.resume();
  await client.ended();
  t.strictSame(client.finals, [], 'what it got does not look complete');
});
