import { randomInt } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Test } from 'tap';
import { until } from './wait.js';

/** A UDP socket on a loopback address that remembers every datagram. */
export async function udpSink(t: Test, address = '127.0.0.1', port = 0): Promise<UdpSink> {
  const socket = createSocket({
    type: address.includes(':') ? 'udp6' : 'udp4',
    recvBufferSize: 4 * 1024 * 1024,
  });
  const sink = new UdpSink(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, resolve);
  });
  t.teardown(() => sink.close());
  return sink;
}

export class UdpSink {
  datagrams: Buffer[] = [];
  #open = true;

  constructor(readonly socket: UdpSocket) {
    socket.on('message', (message) => this.datagrams.push(message));
  }

  get port(): number {
    return this.socket.address().port;
  }

  /** All payloads joined. */
  get bytes(): Buffer {
    return Buffer.concat(this.datagrams);
  }

  async has(bytes: number, ms?: number): Promise<Buffer> {
    const so = () => this.datagrams.reduce((sum, { length }) => sum + length, 0);
    await until(`${bytes} bytes by UDP`, () => so() >= bytes, ms).catch((error) => {
      throw new Error(`${error.message}; it has ${so()}`);
    });
    return this.bytes;
  }

  close(): void {
    if (this.#open) this.socket.close();
    this.#open = false;
  }
}

/** Sends one datagram after another, each when the kernel took the one before. */
export async function udpSend(
  port: number,
  datagrams: (Buffer | string)[],
  address = '127.0.0.1',
): Promise<void> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  for (const datagram of datagrams) {
    await new Promise<void>((resolve, reject) =>
      socket.send(datagram, port, address, (error) => (error ? reject(error) : resolve())),
    );
  }
  socket.close();
}

/** Sends 20 datagrams of 200 bytes every 20 ms until the test ends. */
export function sendSteadily(t: Test, port: number): void {
  const socket = createSocket('udp4');
  const timer = setInterval(() => {
    for (let i = 0; i < 20; i++) socket.send('x'.repeat(200), port, '127.0.0.1');
  }, 20);
  t.teardown(() => {
    clearInterval(timer);
    socket.close();
  });
}

/**
 * A part is over when it has so many bytes, or datagrams. With its last datagram, and what the kernel adds to each, it
 * finds room in a socket's buffer also where nobody raised net.core.rmem_max: 212,992 bytes, doubled (socket(7)).
 */
const ENOUGH = { bytes: 64 * 1024, datagrams: 50 };

/**
 * Sends a part, waits until it arrived, and sends the next: nothing is lost however late a receiver is.
 * @param arrived whether everybody has so many datagrams, and bytes, of them
 */
export async function inParts<T extends Buffer | string>(
  datagrams: T[],
  send: (part: T[]) => Promise<void>,
  arrived: (datagrams: number, bytes: number) => boolean,
): Promise<void> {
  let bytes = 0;
  for (let at = 0; at < datagrams.length; ) {
    const part: T[] = [];
    let size = 0;
    do {
      const one = datagrams[at++]!;
      part.push(one);
      size += Buffer.byteLength(one);
    } while (at < datagrams.length && size < ENOUGH.bytes && part.length < ENOUGH.datagrams);
    await send(part);
    bytes += size;
    await until(`${at} datagrams, ${bytes} bytes, arrived`, () => arrived(at, bytes));
  }
}

/** A UDP port of 127.0.0.1 that nobody has at the moment. */
export function freeUdpPort(): Promise<number> {
  return freePort(async (port) => {
    const socket = createSocket('udp4');
    const free = await new Promise<boolean>((resolve) => {
      socket.once('error', () => resolve(false));
      socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(true));
    });
    await new Promise<void>((resolve) => socket.close(resolve));
    return free;
  });
}

/** A TCP port of 127.0.0.1 that nobody has at the moment. */
export function freeTcpPort(): Promise<number> {
  return freePort(async (port) => {
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(true));
    });
    if (free) await new Promise((resolve) => server.close(resolve));
    return free;
  });
}

/**
 * Looks for a port below those that the system gives to sockets which name none (ip(7), ip_local_port_range): so nobody
 * gets it by chance.
 */
async function freePort(isFree: (port: number) => Promise<boolean>): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const port = randomInt(10_000, 32_768);
    if (await isFree(port)) return port;
  }
  throw new Error('no port is free');
}

/** A TCP server on 127.0.0.1. */
export async function tcpServer(
  t: Test,
  accepted: (socket: Socket) => void,
  port = 0,
): Promise<{ server: Server; port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    accepted(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { server, port: (server.address() as { port: number }).port };
}

/** A socket that is connected to a port of 127.0.0.1; with TLS after its handshake, and without a look at the certificate. */
export async function openSocket(t: Test, port: number, tls = false): Promise<Socket> {
  const to = { port, host: '127.0.0.1' };
  const socket = tls ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to);
  t.teardown(() => socket.destroy());
  await once(socket, tls ? 'secureConnect' : 'connect');
  return socket;
}

/** A TCP client that remembers what it got. */
export async function tcpClient(t: Test, port: number, host = '127.0.0.1'): Promise<TcpClient> {
  const socket = connect({ port, host, allowHalfOpen: true });
  const client = new TcpClient(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', resolve);
  });
  t.teardown(() => socket.destroy());
  return client;
}

export class TcpClient {
  chunks: Buffer[] = [];
  length = 0;
  closed = false;

  constructor(readonly socket: Socket) {
    socket.on('data', (chunk) => {
      this.chunks.push(chunk);
      this.length += chunk.length;
    });
    socket.on('close', () => {
      this.closed = true;
    });
    socket.on('error', () => undefined);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** Nothing more comes: the other side ended, or the connection is closed. */
  get ended(): boolean {
    return this.closed || this.socket.readableEnded;
  }

  async has(bytes: number, ms?: number): Promise<Buffer> {
    await until(`${bytes} bytes by TCP`, () => this.length >= bytes, ms).catch((error) => {
      throw new Error(`${error.message}; it has ${this.length}`);
    });
    return this.bytes;
  }
}
