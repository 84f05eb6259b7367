// As many handshakes as this machine can, while data flow.
import { type ChildProcess, fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request } from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { ENGINES } from '../net/engines.js';
import { isUnharmed, type SecureProgram, secureProgram } from './secure-program.js';
import { echo, socketServer } from './web-sockets.js';

const SIZE = 200_000_000;
const SECONDS = 10;
const PROCESSES = 2;
/** Handshakes at a time, of each process. */
const TOGETHER = 16;
/** Of an echo, in milliseconds; the clients alone load the machine fully. */
const MOST = 3000;
const PIECE = randomBytes(1 << 20);

async function answer(_: IncomingMessage, response: ServerResponse): Promise<void> {
  response.setHeader('content-length', SIZE);
  for (let left = SIZE; left > 0; left -= PIECE.length)
    if (!response.write(PIECE.subarray(0, left))) await once(response, 'drain');
  response.end();
}

/** The digest of what it sends. */
function expected(): string {
  const hash = createHash('sha256');
  for (let left = SIZE; left > 0; left -= PIECE.length) hash.update(PIECE.subarray(0, left));
  return hash.digest('hex');
}

/** Reads the file in so many seconds or more. */
async function download({ gateway, authority }: SecureProgram, seconds: number): Promise<string> {
  const url = `https://127.0.0.1:${gateway.port}/file`;
  const asking = request(url, { agent: false, ca: authority.pem }).end();
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  const hash = createHash('sha256');
  const from = performance.now();
  let length = 0;
  for await (const bytes of response) {
    hash.update(bytes);
    length += bytes.length;
    const early = (length / SIZE) * seconds * 1000 - (performance.now() - from);
    if (early > 20) await wait(early);
  }
  return hash.digest('hex');
}

/** Sends and gets back a message, one after the other, for a time. @returns how long each took, in milliseconds */
async function echoes({ gateway, authority }: SecureProgram, seconds: number): Promise<number[]> {
  const socket = new WebSocket(`wss://127.0.0.1:${gateway.port}/`, { ca: authority.pem });
  await once(socket, 'open');
  const times: number[] = [];
  for (const end = performance.now() + seconds * 1000; performance.now() < end; await wait(5)) {
    const [from, sent] = [performance.now(), randomBytes(100)];
    const came = once(socket, 'message');
    socket.send(sent);
    if (!((await came)[0] as Buffer).equals(sent)) throw new Error('another message came back');
    times.push(performance.now() - from);
  }
  socket.close();
  return times.sort((a, b) => a - b);
}

function handshakes(t: Test, { gateway, authority }: SecureProgram): ChildProcess {
  const file = fileURLToPath(new URL('handshake-clients.js', import.meta.url));
  const env = { ...process.env, NODE_OPTIONS: '' };
  const child = fork(file, [`${gateway.port}`, `${TOGETHER}`, authority.file], { env });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

for (const { name } of ENGINES)
  t.test(`${name}: handshakes, a download of 200 MB and echoes`, async (t) => {
    const program = await secureProgram(
      t,
      async ({ file }, pair) => {
        const upstream = await socketServer(t, echo, { pair, answer });
        const here = { path: '/here', respond: { body: 'here' } };
        return { routes: [here, { path: '/', upstream, tls_ca: file }] };
      },
      { engine: name },
    );
    const children = Array.from({ length: PROCESSES }, () => handshakes(t, program));
    const [digest, times] = await Promise.all([download(program, SECONDS), echoes(program, SECONDS)]);
    const told = await Promise.all(
      children.map(async (child) => {
        child.send('end');
        return (await once(child, 'message'))[0] as { done: number; failed: number };
      }),
    );
    const sum = (what: 'done' | 'failed') => told.reduce((all, one) => all + one[what], 0);
    t.equal(digest, expected());
    const [median, most] = [times[times.length >> 1]!, times.at(-1)!];
    t.comment(`${times.length} echoes: median ${median.toFixed(1)} ms, most ${most.toFixed(1)} ms`);
    t.ok(times.length > 10 && most < MOST, 'echoes');
    t.comment(`about ${(sum('done') / SECONDS).toFixed(0)} handshakes a second`);
    t.equal(sum('failed'), 0);
    t.ok(sum('done') > 50 * SECONDS, `${sum('done')} handshakes`);
    // Those of the download and of the echoes are two.
    t.equal(await program.handshakes('full'), sum('done') + 2);
    await isUnharmed(t, program);
  });
