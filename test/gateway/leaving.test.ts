import type { Socket } from 'node:net';
import t from 'tap';
import { inOneOfSome } from '../support/tries.js';
import { until } from '../support/wait.js';
import { program } from './program.js';
import { rawClient } from './raw-client.js';
import { recordingOrigin } from './recording-origin.js';
import { IS_NODE } from './running.js';

/** Clients in each of the rounds. */
const TOGETHER = 100;
const skip = process.platform !== 'linux' && 'descriptors are counted in /proc';

/** What a client has sent when it leaves, and what the origin answers to that. */
const MIDDLES: [sent: string, answered: string][] = [
  ['GET /', ''],
  ['GET / HTTP/1.1\r\nHost: h\r\n\r\n', ''],
  ['GET / HTTP/1.1\r\nHost: h\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Le'],
  [
    'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
    `HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(100_000)}`,
  ],
  ['GET / HTTP/1.1\r\nHost: h\r\n\r\n', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
  ['POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nabc', ''],
  [
    'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
    'HTTP/1.1 100 Continue\r\n\r\n',
  ],
  ['GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n', ''],
];
/** So much behind a request that nothing more is read: the node engine does not notice who leaves then (mproxy-net, `onHangup`). */
if (!IS_NODE) MIDDLES.push(['GET / HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(1500), '']);
const LEAVES: ((socket: Socket) => void)[] = [
  (socket) => socket.destroy(),
  (socket) => socket.resetAndDestroy(),
];

t.test('1,000 clients that leave in the middle leave nothing behind', { skip }, async (t) => {
  const origin = await recordingOrigin(t);
  origin.onRequest = () => undefined;
  const gateway = await program(t, { routes: [{ path: '/', upstream: origin.url }] });
  const first = await rawClient(t, gateway.port);
  origin.onRequest = (received) =>
    received.answer('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  first.send('GET /first HTTP/1.1\r\nHost: h\r\n\r\n');
  await first.answered();
  await until('the first connection to the origin is closed', () => origin.open === 0);
  const before = gateway.descriptors;
  origin.onRequest = () => undefined;
  let round = 0;

  /** @returns milliseconds until the requests of the origin have ended */
  const leave = async (): Promise<number> => {
    const [at, begun] = [round++, origin.requests.length];
    const middles = Array.from({ length: TOGETHER }, (_, i) => MIDDLES[i % MIDDLES.length]!);
    const reaches = middles.filter(([sent]) => sent.length > 10);
    let heads = 0;
    origin.onHead = (received) => {
      const [, answered] = reaches.filter(([sent]) => sent.startsWith(received.method))[
        heads++ % reaches.length
      ] ?? ['', ''];
      if (answered !== '') received.answer(answered);
    };
    const clients = await Promise.all(middles.map(() => rawClient(t, gateway.port)));
    for (const [i, client] of clients.entries()) client.send(middles[i]![0]);
    await until('all are served', () => origin.requests.length === begun + reaches.length);
    const from = performance.now();
    for (const [i, client] of clients.entries()) LEAVES[(at + i) % 2]!(client.socket);
    await until('the requests of the origin end', () => origin.open === 0);
    return performance.now() - from;
  };

  for (let left = 1000; left > TOGETHER; left -= TOGETHER) await leave();
  await inOneOfSome(t, async () => {
    const ms = await leave();
    return ms <= 100 ? [] : [`the origin's requests ended after ${ms.toFixed(1)} ms`];
  });
  await until('one connection is left', async () => (await gateway.connections()) === 1);
  t.strictSame((await gateway.listenerStats())[0], 1);
  t.equal(await gateway.requestsNow(), 0);
  await until('and one socket of the kernel', () => gateway.sockets === 1);
  await until('and no descriptor more than before', () => gateway.descriptors <= before);
  await until('each has its record', () => gateway.lines.length >= origin.requests.length);
  const served = gateway.lines.filter(({ path }) => path === '/');
  t.strictSame(
    served.filter(({ status, cut }) => status !== 499 || cut !== 'client left'),
    [],
  );
  origin.onRequest = (received) => received.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  first.send('GET /last HTTP/1.1\r\nHost: h\r\n\r\n');
  t.equal((await first.answered(2))[1]!.body, 'ok');
  t.equal(origin.open, 1);
});
