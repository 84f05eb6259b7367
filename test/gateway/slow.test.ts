import t, { type Test } from 'tap';
import { untrue, inOneOfSome } from '../support/tries.js';
import { until } from '../support/wait.js';
import { type Program, program } from './program.js';
import { type RawClient, rawClient } from './raw-client.js';
import { recordingOrigin } from './recording-origin.js';

const MANY = 1000;
/** Milliseconds between two bytes of a slow client. */
const PACE = 300;
const LARGE = `HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n${'x'.repeat(3_000_000)}`;

/** Heads and bodies that come byte by byte, and readers that take nothing. */
async function slowClients(t: Test, { port }: Program): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let i = 0; i < MANY; i++) {
    const client = await rawClient(t, port);
    clients.push(client);
    if (i % 3 === 0) client.send('GET /head HTTP/1.1\r\nHost: h\r\nX: ');
    else if (i % 3 === 1) client.send('POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n');
    else client.send('GET /large HTTP/1.1\r\nHost: h\r\n\r\n').socket.pause();
  }
  const trickle = setInterval(() => {
    for (const [i, client] of clients.entries()) if (i % 3 < 2 && client.end === 'open') client.send('x');
  }, PACE);
  t.teardown(() => clearInterval(trickle));
  return clients;
}

/** The median of twenty requests, one after the other, in milliseconds. */
async function latency(client: RawClient, path: string): Promise<number> {
  const all: number[] = [];
  for (let i = 0; i < 20; i++) {
    const before = performance.now();
    const count = client.finals.length + 1;
    client.send(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    await client.answered(count);
    all.push(performance.now() - before);
  }
  return all.sort((a, b) => a - b)[10]!;
}

t.test('1,000 slow clients disturb nobody, and are gone after the time-outs', async (t) => {
  const origin = await recordingOrigin(t);
  origin.onRequest = (received) =>
    received.answer(received.target === '/large' ? LARGE : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
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
  const ends = (i: number) => clients.filter((_, at) => at % 3 === i);
  for (const client of ends(2)) client.socket.resume();
  await until('all of them know', () => clients.every(({ end }) => end !== 'open'));
  for (const client of [...ends(0), ...ends(1)])
    if (client.end === 'end' && client.statuses.join() !== '408') t.fail(`${client.statuses}`);
  for (const client of ends(2)) if (client.finals.length > 0) t.fail('a cut response looks complete');
  await until('each has its record', () => gateway.lines.filter(({ path }) => path !== '/quick').length >= MANY);
  const statuses = (path: string) => new Set(gateway.lines.filter((line) => line.path === path).map(({ status }) => status));
  t.strictSame([...statuses('-')], [408]);
  t.strictSame([...statuses('/body')], [408]);
  t.strictSame([...statuses('/large')], [200]);
  t.equal(gateway.lines.filter(({ cut }) => cut === 'the client takes nothing').length, ends(2).length);
});
