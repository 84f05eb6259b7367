import type { Socket } from 'node:net';
import type { Test } from 'tap';
import { tcpServer } from '../support/net.js';

export const INFO = 'INFO {"server_id":"x","version":"2.9.10","headers":true,"max_payload":1048576}\r\n';

/** A server that violates the protocol as a test likes. @returns its address as a subject's, and how many connections it had */
export async function hostile(t: Test, serve: (socket: Socket, nth: number) => void) {
  let connections = 0;
  const { port } = await tcpServer(t, (socket) => serve(socket, connections++));
  return { url: `nats://127.0.0.1:${port}/a`, count: () => connections };
}

/** Logs a client in, then calls back. */
export function logIn(socket: Socket, then: () => void, info = INFO): void {
  socket.write(info);
  let text = '';
  const read = (chunk: Buffer) => {
    text += chunk;
    if (!text.includes('SUB ')) {
      if (/CONNECT .*\r\nPING\r\n/.test(text) && !text.includes('answered')) {
        text += 'answered';
        socket.write('PONG\r\n');
      }
      return;
    }
    socket.off('data', read);
    socket.resume();
    then();
  };
  socket.on('data', read);
}
