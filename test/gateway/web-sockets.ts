import { createHash, randomFillSync } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { setImmediate as turn } from 'node:timers/promises';
import type { Test } from 'tap';
import type { WebSocket as UndiciSocket } from 'undici';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import type { Pair } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { served } from './running.js';

/** What each end of a WebSocket sends the other, in bytes. */
export const SIZE = 50_000_000;
const PIECE = 64 * 1024;
/** In which all of it is there, in milliseconds. */
const TIME = 60_000;

export interface SocketServerOptions extends ServerOptions {
  /** Its certificate; without one it speaks no TLS. */
  pair?: Pair;
  /** Answers other requests. */
  answer?: RequestListener;
}

/** A server of WebSockets. @returns its URL, http: or https: */
export async function socketServer(
  t: Test,
  onSocket: (socket: WebSocket, request: IncomingMessage) => void,
  { pair, answer, ...options }: SocketServerOptions = {},
): Promise<string> {
  const server = pair
    ? createSecureServer({ cert: pair.cert, key: pair.key }, answer)
    : createServer({}, answer);
  const sockets = new WebSocketServer({ server, ...options });
  sockets.on('connection', onSocket);
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
  });
  const url = await served(t, server);
  return pair ? url.replace('http:', 'https:') : url;
}

export const echo = (socket: WebSocket) =>
  void socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));

/** Sends random messages, as fast as they are taken. @returns their digest */
export async function pour(socket: WebSocket): Promise<string> {
  const hash = createHash('sha256');
  for (let left = SIZE; left > 0; left -= PIECE) {
    const bytes = randomFillSync(Buffer.allocUnsafe(Math.min(left, PIECE)));
    hash.update(bytes);
    socket.send(bytes);
    if (socket.bufferedAmount > 16 * PIECE) await until('room', () => socket.bufferedAmount < PIECE, TIME);
    else await turn();
  }
  return hash.digest('hex');
}

/** Reads as many bytes. @returns their digest */
export function drink(socket: WebSocket): Promise<string> {
  const hash = createHash('sha256');
  let left = SIZE;
  return new Promise((resolve, reject) => {
    socket.on('message', (data: Buffer) => {
      hash.update(data);
      left -= data.length;
      if (left === 0) resolve(hash.digest('hex'));
    });
    socket.once('close', (code) => reject(new Error(`closed: ${code}, ${left} are missing`)));
  });
}

/** Both ends of a WebSocket send at once; each must get what the other sent. */
export async function exchanged(t: Test, ends: WebSocket[]): Promise<void> {
  const got = ends.map(drink);
  const sent = await Promise.all(ends.map(pour));
  t.strictSame(await Promise.all(got), sent.reverse());
}

/** The next event of a type. */
export function event(socket: UndiciSocket, name: string): Promise<{ data?: unknown; code?: number }> {
  return new Promise((resolve, reject) => {
    socket.addEventListener(name as 'message', resolve as () => void, { once: true });
    socket.addEventListener('error', () => reject(new Error(`no ${name}`)), { once: true });
  });
}
