import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Connection, ConnectionHandler, ListenOptions, StreamListener, Streams } from 'mproxy-net';
import type { Test } from 'tap';
import { until } from '../support/wait.js';

/** A connection with all that it reported. */
export class Log implements ConnectionHandler {
  readonly chunks: Buffer[] = [];
  readonly events: string[] = [];
  error: Error | undefined;
  idle = 0;

  constructor(readonly connection: Connection) {}

  start(): this {
    this.connection.start(this);
    return this;
  }

  get bytes(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0);
  }

  get text(): string {
    return String(Buffer.concat(this.chunks));
  }

  onData(bytes: Buffer): void {
    this.chunks.push(Buffer.from(bytes));
    // Borrowed: an engine may use the memory again.
    bytes.fill('!');
  }

  onEnd(): void {
    this.events.push('end');
  }

  onDrain(): void {
    this.events.push('drain');
  }

  onIdle(): void {
    this.idle++;
  }

  onClose(error?: Error): void {
    this.error = error;
    this.events.push('close');
  }

  has(event: string): Promise<void> {
    return until(event, () => this.events.includes(event));
  }

  get code(): string | undefined {
    return (this.error as NodeJS.ErrnoException | undefined)?.code;
  }
}

/** Passes all that one connection receives on to another, as fast as that takes it. */
export function passTo(
  from: Connection,
  to: Connection,
  onClose: (error?: Error) => unknown,
): ConnectionHandler {
  return {
    onData(bytes) {
      const taken = to.offer(bytes);
      if (taken === bytes.length) return;
      to.write([Buffer.from(bytes.subarray(taken))]);
      from.pause();
    },
    onDrain: () => to.resume(),
    onEnd: () => to.end(),
    onClose: (error) => void onClose(error),
  };
}

/** A listener on 127.0.0.1 that starts its connections and remembers them. */
export async function listen(t: Test, streams: Streams, options: Partial<ListenOptions> = {}) {
  const logs: Log[] = [];
  const listener = await streams.listen({
    at: { address: '127.0.0.1', port: 0 },
    onConnection: (connection) => logs.push(new Log(connection).start()),
    ...options,
  });
  t.teardown(() => stop(listener));
  return { listener, logs, port: listener.local?.port ?? 0 };
}

function stop(listener: StreamListener): void {
  listener.close();
  listener.closeConnections();
}

/** A connection and its other end, a socket of Node that reads nothing by itself. */
export async function pair(t: Test, streams: Streams): Promise<{ log: Log; peer: Socket }> {
  const { port, sockets } = await nodeServer(t);
  const connection = await streams.connect({ to: { address: '127.0.0.1', port } });
  t.teardown(() => connection.close());
  await until('its peer', () => sockets.length === 1);
  return { log: new Log(connection).start(), peer: sockets[0]! };
}

export async function nodeServer(t: Test): Promise<{ server: Server; port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { server, port: (server.address() as { port: number }).port, sockets };
}

/** A TLS server of Node on 127.0.0.1. */
export async function tlsServer(
  t: Test,
  options: TlsOptions,
): Promise<{ port: number; sockets: TLSSocket[] }> {
  const sockets: TLSSocket[] = [];
  const server = createTlsServer(options, (socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as { port: number }).port, sockets };
}

/** All that a socket sends until its end; it stays open. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.resume();
  await once(socket, 'end');
  return Buffer.concat(chunks);
}
