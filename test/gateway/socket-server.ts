import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { Test } from 'tap';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { served } from './running.js';

/** A server for WebSocket. @param answer what it does with other requests @returns its URL */
export async function socketServer(
  t: Test,
  onSocket: (socket: WebSocket, request: IncomingMessage) => void,
  options: ServerOptions = {},
  answer?: RequestListener,
): Promise<string> {
  const server = createServer(answer);
  const sockets = new WebSocketServer({ server, ...options });
  sockets.on('connection', onSocket);
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
  });
  return served(t, server);
}

/** Sends each message back. */
export const echo = (socket: WebSocket) =>
  void socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
