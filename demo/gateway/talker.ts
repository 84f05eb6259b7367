import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { ANSWER_MS } from './client.js';
import { EVENTS } from './routes.js';
import type { Tally } from './tally.js';

/** Messages of one WebSocket, and the time between two. */
const MESSAGES = 50;
const PAUSE_MS = 10;
const MAX_BYTES = 20_000;
const CLOSE_CODE = 4000;

/** Opens a WebSocket, has its messages sent back, texts and bytes in turns, and closes it. */
export async function talk(port: number, authority: string, tally: Tally): Promise<void> {
  tally.requests++;
  const socket = new WebSocket(`wss://127.0.0.1:${port}/socket`, {
    ...{ ca: authority, servername: EVENTS, headers: { host: `${EVENTS}:${port}` } },
    handshakeTimeout: ANSWER_MS,
  });
  // What goes wrong is seen by who waits; a later error would end this program.
  socket.on('error', () => undefined);
  try {
    await once(socket, 'open');
    for (let i = 0; i < MESSAGES; i++) {
      await echo(socket, i % 2 === 0, tally);
      await wait(PAUSE_MS);
    }
    const closed = once(socket, 'close', { signal: AbortSignal.timeout(ANSWER_MS) });
    socket.close(CLOSE_CODE);
    const [code] = await closed;
    if (code !== CLOSE_CODE) tally.fail(`closed with ${code} instead of ${CLOSE_CODE}`);
  } finally {
    socket.terminate();
  }
}

async function echo(socket: WebSocket, binary: boolean, tally: Tally): Promise<void> {
  const bytes = randomBytes(randomInt(1, MAX_BYTES));
  const sent = binary ? bytes : Buffer.from(bytes.toString('hex'));
  const began = performance.now();
  const gone = new AbortController();
  const end = () => gone.abort();
  socket.once('close', end);
  const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(ANSWER_MS)]);
  const message = once(socket, 'message', { signal });
  socket.send(sent, { binary });
  const [received, isBinary] = (await message) as [Buffer, boolean];
  socket.off('close', end);
  const same = isBinary === binary && received.equals(sent);
  tally.answer(began, sent.length + received.length, same ? undefined : 'another message');
}
