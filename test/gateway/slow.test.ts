import { once } from 'node:events';
import t, { type Test } from 'tap';
import { inOneOfSome, untrue } from '../support/tries.js';
import { until } from '../support/wait.js';
import { type Program, program } from './program.js';
import { type RawClient, rawClient } from './raw-client.js';
import { recordingOrigin } from './recording-origin.js';

const MANY = 1000;
/** Milliseconds between two bytes of a slow client. */
const PACE = 300;
/** More than the kernel's buffers on the way to a client that takes nothing. */
const LARGE = Buffer.alloc(20_000_000, 'x');
const LARGE_HEAD = `HTTP/1.1 200 OK\r\nContent-Length: ${LARGE.length}\r\n\r\n`;

type Kind = 'head' | 'body' | 'reader';
const kindOf = (i: number): Kind => (i % 10 === 0 ? 'reader' : i % 2 === 0 ? 'head' : 'body');

/** Heads and bodies that come byte by byte, and readers that take nothing. */
async function slowClients(t: Test, { port }: Program): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let i = 0; i < MANY; i++) {
    const client = await rawClient(t, port);
    clients.push(client);
    if (kindOf(i) === 'head') client.send('GET /head HTTP/1.1\r\nHost: h\r\nX: ');
    else if (kindOf(i) === 'body')
      client.send('POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n');
    else client.send('GET /large HTTP/1.1\r\nHost: h\r\n\r\n').socket.pause();
  }
  const trickle = setInterval(() => {
    for (const [i, client] of clients.entries())
      if (kindOf(i) !== 'reader' && client.end === 'open') client.send('x');
  }, PACE);
  t.teardown(() => clearInterval(trickle));
  return clients;
}

/** The median of twenty requests, one after the other, in milliseconds. */
async function latency(client: RawClient, path: string): Promise<number> {
  const all: number[] = [];
  for (let i = 0; i < 20; i++) {
    const before = performance.now();
    client.send(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    await once(client.socket, 'data');
    all.push(performance.now() - before);
  }
  return all.sort((a, b) => a - b)[10]!;
}

t.test('1,000 slow clients disturb nobody, and are gone after the time-outs', async (t) => {
  const origin = await recordingOrigin(t);
  origin.onRequest = (received) => {
    const isLarge = received.target === '/large';
    received.answer(isLarge ? LARGE_HEAD : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    if (isLarge) received.socket.write(LARGE);
  };
  const timeouts = { request_head: '6s', request_body: '6s', send: '6s' };
  const gateway = await program(t, { routes: [{ path: '/', upstream: origin.url }], timeouts });
  const other = await rawClient(t, gateway.port);
  const alone = await latency(other, '/quick');
  const from = performance.now();
  const clients = await slowClients(t, gateway);
  await until('all are connected', async () => (await gateway.connections()) === MANY + 1);
  await inOneOfSome(t, async () => {
    const among = await latency(other, '/quick');
    t.comment(`${alone.toFixed(1)} ms alone, ${among.toFixed(1)} ms among ${MANY} slow ones`);
    return untrue({ [`${among.toFixed(1)} ms instead of ${alone.toFixed(1)}`]: among < 2 * alone + 20 });
  });
  if (process.platform === 'linux') {
    const mib = gateway.memory / 2 ** 20;
    t.ok(mib < 350, `${mib.toFixed(0)} MiB`);
  }
  await until('they are gone', async () => (await gateway.connections()) === 1, 30_000);
  t.ok(performance.now() - from > 4000, 'not before');
  await until('their requests have ended at the origin', () => origin.open <= 1);
  const of = (kind: Kind) => clients.filter((_, i) => kindOf(i) === kind);
  for (const client of of('reader')) client.socket.resume();
  await until('all of them know', () => clients.every(({ end }) => end !== 'open'));
  // Who goes on sending may get a reset behind the answer.
  for (const { end, statuses } of [...of('head'), ...of('body')])
    if (end === 'end' && statuses.join() !== '408') t.fail(`${statuses}`);
  for (const { finals } of of('reader')) if (finals.length > 0) t.fail('a cut response looks complete');
  await until(
    'each has its record',
    () => gateway.lines.filter(({ path }) => path !== '/quick').length >= MANY,
  );
  const statuses = (path: string) =>
    new Set(gateway.lines.filter((line) => line.path === path).map(({ status }) => status));
  t.strictSame([...statuses('-')], [408]);
  t.strictSame([...statuses('/body')], [408]);
  t.strictSame([...statuses('/large')], [200]);
  t.equal(gateway.lines.filter(({ cut }) => cut === 'the client takes nothing').length, of('reader').length);
});
