import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Test } from 'tap';
import { until } from '../support/wait.js';
import { type RawClient, rawClient } from './raw-client.js';

/** A request for WebSocket, with the key of RFC 6455, section 1.3. */
export function upgrade(path = '/', more = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;
}

export const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

/** A connection at the origin: all that came, and how it ended. */
export class Far {
  text = '';
  end: 'open' | 'end' | 'reset' = 'open';

  constructor(readonly socket: Socket) {
    socket.on('data', (bytes) => {
      this.text += bytes.toString('latin1');
    });
    socket.on('end', () => {
      if (this.end === 'open') this.end = 'end';
    });
    socket.on('error', () => {
      this.end = 'reset';
    });
  }

  get head(): string {
    return this.text.slice(0, this.text.indexOf('\r\n\r\n') + 4);
  }

  /** What came behind the head. */
  get rest(): string {
    return this.text.slice(this.head.length);
  }

  async asked(): Promise<this> {
    await until('a request at the origin', () => this.head !== '');
    return this;
  }

  async has(text: string): Promise<void> {
    await until(`${JSON.stringify(text)} at the origin`, () => this.rest === text);
  }
}

/** An origin that does with its connections what a test says. */
export class TunnelOrigin {
  readonly all: Far[] = [];
  url = '';

  async connected(count = 1): Promise<Far> {
    await until(`${count} connections at the origin`, () => this.all.length >= count);
    return this.all[count - 1]!.asked();
  }
}

export async function tunnelOrigin(t: Test): Promise<TunnelOrigin> {
  const origin = new TunnelOrigin();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    origin.all.push(new Far(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.teardown(() => {
    server.close();
    for (const { socket } of origin.all) socket.destroy();
  });
  return origin;
}

/** What a client has behind the head of its last response. */
export function behind({ text }: RawClient): string {
  return text.slice(text.indexOf('\r\n\r\n') + 4);
}

/** Opens a tunnel, as the origin's next connection. */
export async function tunnel(t: Test, port: number, origin: TunnelOrigin) {
  const number = origin.all.length + 1;
  const near = await rawClient(t, port);
  near.send(upgrade());
  const far = await origin.connected(number);
  far.socket.write(SWITCHED);
  await until('it is switched', () => near.text.includes('\r\n\r\n'));
  return { near, far };
}
