// The time-outs of section 7 in which an upstream is awaited, with their statuses, by the configuration.
import t, { type Test } from 'tap';
import { startProgram } from '../support/command.js';
import { openSocket } from '../support/net.js';
import { until } from '../support/wait.js';
import { program } from './program.js';
import { rawClient } from './raw-client.js';
import { recordingOrigin } from './recording-origin.js';
import { endsAfter, LONG, proxied, SHORT } from './timeouts.js';

/** A listener whose queue is full: it never accepts, as its process is stopped. */
async function deafPort(t: Test): Promise<number> {
  const script =
    "const s = require('node:net').createServer().listen(0, '127.0.0.1', 1, () => console.error('port ' + s.address().port + '\\n'))";
  const server = startProgram(t, process.execPath, ['-e', script]);
  await server.says(/port \d+\n/);
  const port = Number(/port (\d+)/.exec(server.stderr)![1]);
  server.child.kill('SIGSTOP');
  for (let i = 0; i < 2; i++) await openSocket(t, port);
  return port;
}

t.test(
  'a connection that the upstream does not take: 504',
  { skip: process.platform !== 'linux' && 'of listen(2) on Linux' },
  async (t) => {
    const upstream = `http://127.0.0.1:${await deafPort(t)}`;
    const gateway = await program(t, {
      routes: [{ path: '/', upstream }],
      timeouts: { ...LONG, connect: `${SHORT}ms` },
    });
    const client = await rawClient(t, gateway.port);
    client.send('GET /a HTTP/1.1\r\nHost: h\r\n\r\n');
    await endsAfter(t, client);
    t.match(client.answers, [{ status: 504, body: 'the upstream could not be connected to in time\n' }]);
    t.match((await gateway.logged('/a'))[0], { status: 504, upstream });
  },
);

t.test('a response head that does not come, or not whole: 504', async (t) => {
  for (const begins of ['', 'HTTP/1.1 103 Early Hints\r\n\r\n', 'HTTP/1.1 200 OK\r\n']) {
    const { client, gateway, origin } = await proxied(t, { response_head: `${SHORT}ms` });
    origin.onRequest = (received) => received.answer(begins);
    client.send('POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na');
    await endsAfter(t, client);
    t.match(client.answers.at(-1), { status: 504, body: 'the upstream did not answer in time\n' });
    t.match((await gateway.logged('/a'))[0], { status: 504, upstream: origin.url });
    t.equal(origin.requests.length, 1);
    await until('its connection is closed', () => origin.open === 0);
    client.send('GET /b HTTP/1.1\r\nHost: h\r\n\r\n');
    origin.onRequest = (received) => received.answer('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    t.equal((await client.answered(2))[1]!.status, 200, 'the connection of the client goes on');
  }
});

t.test('the time for a response head begins when the request has ended', async (t) => {
  const { client, origin } = await proxied(t, { response_head: `${SHORT}ms` });
  client.send('POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na');
  await origin.received();
  await new Promise((resolve) => setTimeout(resolve, 3 * SHORT));
  t.equal(client.text, '');
  client.send('b');
  t.equal((await client.answered())[0]!.status, 200);
});

t.test('a route has time-outs of its own', async (t) => {
  const origin = await recordingOrigin(t);
  origin.onRequest = () => undefined;
  const routes = [
    { path: '/short', upstream: origin.url, timeouts: { response_head: `${SHORT}ms` } },
    { path: '/', upstream: origin.url },
  ];
  const gateway = await program(t, { routes, timeouts: LONG });
  const [short, long] = [await rawClient(t, gateway.port), await rawClient(t, gateway.port)];
  long.send('GET /long HTTP/1.1\r\nHost: h\r\n\r\n');
  short.send('GET /short HTTP/1.1\r\nHost: h\r\n\r\n');
  t.equal((await short.answered())[0]!.status, 504);
  t.equal(long.text, '');
});

t.test('a response body that is silent is cut; events may be rare', async (t) => {
  for (const [head, is] of [
    ['Content-Length: 10\r\n', 'cut'],
    ['Transfer-Encoding: chunked\r\n', 'cut'],
    ['', 'cut'],
    ['Content-Type: text/event-stream\r\n', 'open'],
  ]) {
    const { client, gateway, origin } = await proxied(t, { response_body: `${SHORT}ms` });
    const chunk = head!.startsWith('T') ? '3\r\nabc\r\n' : 'abc';
    origin.onRequest = (received) => received.answer(`HTTP/1.1 200 OK\r\n${head}\r\n${chunk}`);
    client.send('GET /a HTTP/1.1\r\nHost: h\r\n\r\n');
    await until('its beginning', () => client.text.includes('abc'));
    if (is === 'open') {
      await new Promise((resolve) => setTimeout(resolve, 3 * SHORT));
      t.equal(client.end, 'open');
      continue;
    }
    await endsAfter(t, client);
    t.match(client.answers, [{ status: 200, isComplete: false }], head!);
    t.match((await gateway.logged('/a'))[0], {
      status: 200,
      cut: 'the upstream sent nothing more of the response in time',
    });
    await until('its connection is closed', () => origin.open === 0);
  }
});

t.test('an event stream that is silent for longer than it may is cut', async (t) => {
  const { client, origin } = await proxied(t, { event_stream: `${SHORT}ms` });
  origin.onRequest = (received) =>
    received.answer('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n');
  client.send('GET /a HTTP/1.1\r\nHost: h\r\n\r\n');
  await until('its beginning', () => client.text.includes('data: 1'));
  await endsAfter(t, client);
  t.match(client.answers, [{ status: 200, isComplete: false }]);
});

t.test('a response body is not awaited while the client takes nothing of it', async (t) => {
  const { client, origin } = await proxied(t, { response_body: `${SHORT}ms` });
  origin.onRequest = (received) =>
    received.answer(`HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n${'x'.repeat(20_000_000)}`);
  client.socket.pause();
  client.send('GET /a HTTP/1.1\r\nHost: h\r\n\r\n');
  await origin.received();
  await new Promise((resolve) => setTimeout(resolve, 3 * SHORT));
  client.socket.resume();
  t.match((await client.answered())[0], { status: 200, isComplete: true });
});

t.test('an idle connection to an upstream is closed', async (t) => {
  const origin = await recordingOrigin(t);
  const routes = [{ path: '/', upstream: origin.url, pool: { idle: `${SHORT}ms` } }];
  const gateway = await program(t, { routes });
  const client = await rawClient(t, gateway.port);
  client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  await client.answered();
  t.equal(origin.open, 1);
  await until('it is closed', () => origin.open === 0);
  t.equal(client.end, 'open');
});
