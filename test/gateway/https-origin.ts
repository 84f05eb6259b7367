import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Test } from 'tap';
import type { Pair } from '../support/certificates.js';

export interface HttpsOrigin {
  /** `https://127.0.0.1:PORT` */
  url: string;
  port: number;
  /** Its connections until now. */
  sockets: TLSSocket[];
  /** Whether each resumed a session. */
  resumed: boolean[];
}

/** An https origin that answers each request on its connection by raw bytes. */
export async function httpsOrigin(
  t: Test,
  pair: Pair,
  answer: (socket: TLSSocket, head: string) => void,
  options: TlsOptions = {},
): Promise<HttpsOrigin> {
  const sockets: TLSSocket[] = [];
  const resumed: boolean[] = [];
  const server = createServer({ cert: pair.cert, key: pair.key, ...options }, (socket) => {
    sockets.push(socket);
    resumed.push(socket.isSessionReused());
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => answer(socket, bytes.toString('latin1')));
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}`, port, sockets, resumed };
}

/** A whole response, after which the connection is kept or closed. */
export function answered(body: string, closes = false): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${closes ? 'Connection: close\r\n' : ''}\r\n${body}`;
}
