import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import { DOWNLOAD, eventText, PAGE } from './contents.js';
import { type Answer, type Origin, openOrigin } from './origin.js';

/** Events of one stream, and the time between two. */
const EVENTS = 25;
const EVENT_MS = 25;

/** Its turn of two servers; it repeats what it was asked. */
const turn: Answer = (request, response) => void response.end(request.url);

/** A server with a page, uploads whose SHA-256 it answers, and a large download. */
export function openApp(): Promise<Origin> {
  return openOrigin('app', {
    '/': (_request, response) => void response.end(PAGE.bytes),
    '/large': (_request, response) => void response.end(DOWNLOAD.bytes),
    '/upload': (request, response) => void answerDigest(request, response),
    '/turns': turn,
  });
}

/** A server with an event stream, and WebSockets that send back what they receive. */
export async function openEvents(): Promise<Origin> {
  const origin = await openOrigin('events', {
    '/events': (request, response) => void sendEvents(request, response),
    '/turns': turn,
  });
  const sockets = new WebSocketServer({ server: origin.server, path: '/socket' });
  sockets.on('connection', (socket) => {
    socket.on('error', () => socket.terminate());
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  return {
    ...origin,
    close: () => {
      for (const socket of sockets.clients) socket.terminate();
      origin.close();
    },
  };
}

async function answerDigest(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256');
  try {
    await pipeline(request, hash);
  } catch {
    // The response is cut, which the client notices.
    response.destroy();
    return;
  }
  response.end(hash.digest('hex'));
}

/** Sends the events behind the one that the client had last. */
async function sendEvents(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const last = Number(request.headers['last-event-id'] ?? 0);
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  for (let id = last + 1; id <= last + EVENTS && !response.destroyed; id++) {
    response.write(`${eventText(id)}\n\n`);
    await wait(EVENT_MS);
  }
  response.end();
}
