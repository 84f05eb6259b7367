import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import type { Pair } from '../support/certificates.js';
import { until } from '../support/wait.js';

/** A request of a client of WebSocket (RFC 6455, section 1.3). @param lines further field lines */
export const upgrade = (path = '/', lines = '') =>
  `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${lines}\r\n`;
export const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

/** Options of a TLS socket, too (tls.connect, new TLSSocket), although its types do not say so. */
const HALF_OPEN: object = { allowHalfOpen: true };

/** An end of a tunnel: what it gets is kept, and its own direction stays open until it ends that. */
export class TunnelEnd {
  text = '';
  /** How the other side ended its direction. */
  end: 'open' | 'end' | 'reset' = 'open';

  /** @param raw of TCP, if the socket is one of TLS on it */
  constructor(
    readonly socket: Socket,
    private readonly raw = socket,
  ) {
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

  /** The first head, with the empty line; '': it is not whole. */
  get head(): string {
    return this.text.slice(0, this.text.indexOf('\r\n\r\n') + 4).replace(/^.{3}$/s, '');
  }

  /** What came behind the first head. */
  get behind(): string {
    return this.text.slice(this.text.indexOf('\r\n\r\n') + 4);
  }

  get status(): number {
    return Number(this.text.split(' ', 2)[1]);
  }

  /** The lines of a field of the first head. */
  lines(name: string): string[] {
    return this.head.split('\r\n').filter((line) => line.toLowerCase().startsWith(`${name}:`));
  }

  send(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  reset(): void {
    this.raw.resetAndDestroy();
    this.socket.destroy();
  }

  async has(text: string, ms?: number): Promise<this> {
    const found = () => this.text.includes(text);
    await until(`${JSON.stringify(text)} came`, () => found() || this.end !== 'open', ms).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(this.text.slice(0, 1000))}`);
    });
    if (!found())
      throw new Error(`${this.end} instead of ${text}: ${JSON.stringify(this.text.slice(0, 1000))}`);
    return this;
  }

  async ended(ms?: number): Promise<this> {
    await until('the other side ended', () => this.end !== 'open', ms).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(this.text.slice(0, 1000))}`);
    });
    return this;
  }
}

/** A client on a port of 127.0.0.1. @param secure by TLS; the certificate of the server does not matter */
export async function tunnelClient(t: Test, port: number, secure = false): Promise<TunnelEnd> {
  const raw = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  t.teardown(() => raw.destroy());
  await once(raw, 'connect');
  if (!secure) return new TunnelEnd(raw);
  const socket = connectTls({ ...HALF_OPEN, socket: raw, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return new TunnelEnd(socket, raw);
}

/** A server that keeps what it gets on each connection, and does nothing by itself but what a test says. */
export class TunnelOrigin {
  readonly ends: TunnelEnd[] = [];
  /** The first head of a connection is there. */
  onHead: (end: TunnelEnd) => void = (end) => end.send(SWITCHED);
  port = 0;

  /** @param secureContext undefined: it speaks no TLS */
  constructor(private readonly secureContext: SecureContext | undefined) {}

  get url(): string {
    return `${this.secureContext ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  get open(): number {
    return this.ends.filter(({ socket }) => !socket.destroyed).length;
  }

  accept(raw: Socket): void {
    const { secureContext } = this;
    const socket = secureContext ? new TLSSocket(raw, { ...HALF_OPEN, isServer: true, secureContext }) : raw;
    const end = new TunnelEnd(socket, raw);
    this.ends.push(end);
    const look = () => {
      if (end.head === '') return;
      socket.off('data', look);
      this.onHead(end);
    };
    socket.on('data', look);
  }

  /** The n-th connection, from 1, when its head is there. */
  async visited(count = 1): Promise<TunnelEnd> {
    await until(
      `${count} connections with a head`,
      () => this.ends.filter(({ head }) => head !== '').length >= count,
    );
    return this.ends[count - 1]!;
  }
}

/** @param pair its certificate; undefined: it speaks no TLS */
export async function tunnelOrigin(t: Test, pair?: Pair): Promise<TunnelOrigin> {
  const origin = new TunnelOrigin(pair && createSecureContext({ cert: pair.cert, key: pair.key }));
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => origin.accept(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin.port = (server.address() as AddressInfo).port;
  t.teardown(() => {
    server.close();
    for (const { socket } of origin.ends) socket.destroy();
  });
  return origin;
}

/** Both ends of a tunnel through what listens on a port, in front of an origin that has no connection yet, or others. */
export async function tunnel(
  t: Test,
  port: number,
  origin: TunnelOrigin,
  path?: string,
  secure = false,
): Promise<{ client: TunnelEnd; upstream: TunnelEnd }> {
  const count = origin.ends.length + 1;
  const client = (await tunnelClient(t, port, secure)).send(upgrade(path));
  const upstream = await origin.visited(count);
  await client.has('\r\n\r\n');
  if (client.status !== 101) throw new Error(`no tunnel: ${client.text}`);
  return { client, upstream };
}
