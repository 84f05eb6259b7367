import { connect, type Socket } from 'node:net';
import type { Test } from 'tap';
import { mutated, ODD_PIECES } from '../support/mutated.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { type Program, program } from './program.js';
import { rawClient } from './raw-client.js';
import { type Received, recordingOrigin } from './recording-origin.js';

const TOGETHER = 50;
const MIB = 2 ** 20;
/** A client that leaves while it is not read is noticed at the end of its request alone by the node engine. */
const SHORT = { response_head: '3s', response_body: '3s', request_body: '3s', send: '3s' };

const REQUESTS = [
  'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
  'GET /a/../%7eb?c HTTP/1.1\r\nHost: h:80\r\nCookie: a=b\r\nX-Forwarded-For: 1.2.3.4\r\nTE: trailers\r\n\r\n',
  'POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde',
  'POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nabcde\r\n0\r\nT: v\r\n\r\n',
  'HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok',
  'GET http://h/ HTTP/1.1\r\nHost: x\r\nConnection: close, x-y\r\nX-Y: z\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
];
const RESPONSES = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: v\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.0 200 OK\r\n\r\nhello',
  'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/a\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n',
];
const PIECES = [
  ...ODD_PIECES,
  'Transfer-Encoding: chunked\r\n',
  '%',
  '/../',
  'Host: x\r\n',
  '\r\n\r\n',
  '_',
  ',',
];

/** Most fillings are short. */
function mutatedBytes(random: Random, from: readonly string[], most: number): Buffer {
  const filling = () =>
    random.next() < 0.02 ? random.pick(PIECES).repeat(random.integer(1, 3000)) : random.pick(PIECES);
  return Buffer.from(mutated(random, from, most, 4, filling), 'latin1');
}

function input(random: Random): Buffer {
  return random.next() < 0.1 ? random.bytes(random.integer(1, 300)) : mutatedBytes(random, REQUESTS, 3);
}

/** Sends an input, in up to three pieces; leaves at once, when something came, or after a moment. */
async function sendOne(random: Random, port: number): Promise<void> {
  const bytes = input(random);
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => undefined);
  // It may be reset: a response that is cut could look complete otherwise.
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const leave = random.pick<(socket: Socket) => void>([
    (one) => one.end(),
    (one) => one.resetAndDestroy(),
    (one) => one.destroy(),
  ]);
  const patience = random.next();
  socket.once('connect', () => {
    let at = 0;
    while (random.next() < 0.3 && at < bytes.length) {
      const next = random.integer(at, bytes.length);
      socket.write(bytes.subarray(at, next));
      at = next;
    }
    socket.write(bytes.subarray(at));
    if (patience < 0.2) leave(socket);
    else if (patience < 0.9) socket.once('data', () => leave(socket));
    setTimeout(() => socket.resetAndDestroy(), random.integer(1, 20)).unref();
  });
  socket.resume();
  await closed;
}

/** Answers in an invalid way, too, and now and then not at all. */
function answerOf(random: Random): (received: Received) => void {
  return (received) => {
    const chance = random.next();
    if (received.target === '/sound' || chance < 0.5) received.answer(RESPONSES[0]!);
    else if (chance < 0.55) received.socket.destroy();
    else if (chance < 0.95) received.socket.write(mutatedBytes(random, RESPONSES, 1));
    if (chance > 0.8 && received.target !== '/sound')
      setTimeout(() => received.socket.end(), random.integer(0, 5));
  };
}

async function isSound(t: Test, gateway: Program): Promise<void> {
  const client = await rawClient(t, gateway.port);
  client.send('GET /sound HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
  t.match((await client.answered())[0], { status: 200, body: 'hello' }, 'it serves');
  await until('no connection is left', async () => (await gateway.connections()) === 0);
  t.equal(await gateway.requestsNow(), 0);
  t.equal(await gateway.metric('worker_restarts_total'), 0);
  t.notMatch(gateway.running.stderr, /failed|Error/);
}

/** Random and mutated inputs on the port, and responses of that kind: no crash, no failure of a service, flat memory. */
export async function randomInputs(t: Test, count: number, engine?: string): Promise<void> {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const origin = await recordingOrigin(t);
  origin.onRequest = answerOf(random);
  const routes = [{ path: '/', upstream: origin.url, pool: { max_connections: 200 } }];
  const gateway = await program(
    t,
    { routes, timeouts: SHORT },
    { logs: false, ...(engine !== undefined && { engine }) },
  );
  let left = count;
  const sendMany = async (until: number) => {
    while (left > until) {
      left--;
      await sendOne(random, gateway.port);
      // What the origin keeps is of no use here.
      if (left % 1000 === 0) forget();
    }
  };
  const forget = () => {
    origin.requests.length = 0;
    origin.unread.clear();
    const open = origin.sockets.filter((socket) => !socket.destroyed);
    origin.sockets.splice(0, origin.sockets.length, ...open);
  };
  const sendTogether = (until: number) =>
    Promise.all(Array.from({ length: TOGETHER }, () => sendMany(until)));
  // The first fifth warms it up.
  await sendTogether(count * 0.8);
  await isSound(t, gateway);
  const before = process.platform === 'linux' ? [gateway.memory, gateway.descriptors] : [0, 0];
  await sendTogether(0);
  await isSound(t, gateway);
  if (process.platform !== 'linux') return;
  const growth = (gateway.memory - before[0]!) / MIB;
  t.ok(growth < 40, `its memory grew by ${growth.toFixed(1)} MiB`);
  t.ok(gateway.descriptors <= before[1]! + 200, `${gateway.descriptors} descriptors after ${before[1]}`);
}
