import { once } from 'node:events';
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from 'node:net';
import type { TlsClient, TlsServer } from 'mproxy-net';
import { ERRNO, systemError } from 'mproxy-net/linux/errno';
import { type Libc, loadLibc } from 'mproxy-net/linux/libc';
import { ClientContext } from 'mproxy-net/linux/tls/client-context';
import { loadOpenssl, type Openssl } from 'mproxy-net/linux/tls/openssl';
import type { TlsChannel } from 'mproxy-net/linux/tls/secure-channel';
import { ServerContext } from 'mproxy-net/linux/tls/server-context';
import { TicketKeys } from 'mproxy-net/linux/tls/ticket-keys';
import { SessionTickets } from 'mproxy-net/linux/tls/tickets';
import type { Test } from 'tap';
import { Authority } from '../support/certificates.js';

export const notLinux = process.platform !== 'linux' && 'the descriptors are those of Linux';

let loaded: { libc: Libc; ssl: Openssl; tickets: SessionTickets } | undefined;

/** What the channels of a thread share. */
export function parts(): NonNullable<typeof loaded> {
  if (!loaded) {
    const ssl = loadOpenssl();
    loaded = { libc: loadLibc(), ssl, tickets: new SessionTickets(ssl, new TicketKeys()) };
  }
  return loaded;
}

/** An authority, and a certificate of it for one.test and 127.0.0.1. */
export async function identity(t: Test) {
  const authority = await Authority.make(t);
  return { authority, own: await authority.sign({ dns: ['one.test'], ips: ['127.0.0.1'] }) };
}

/** How often a channel that waits is tried again, in milliseconds. */
const TURN_MS = 1;
const DEADLINE_MS = 20_000;
const CHUNK = 64 * 1024;

/** A channel on the descriptor of a socket of Node, which reads nothing itself. Errors are thrown. */
export class Driven {
  readonly #memory = Buffer.allocUnsafeSlow(CHUNK);
  readonly #table = Buffer.allocUnsafeSlow(1024 * 16);

  constructor(
    readonly channel: TlsChannel,
    readonly socket: Socket,
  ) {}

  async handshake(): Promise<this> {
    await this.#done(() => this.channel.handshake());
    return this;
  }

  async accepted(): Promise<void> {
    await this.#done(() => this.channel.accepted());
  }

  /** One call. @returns bytes, which are dropped, or a negative errno */
  take(): number {
    return this.channel.receive(parts().libc.address(this.#memory), this.#memory.length);
  }

  /** @returns what one call receives; empty: the peer has ended */
  async read(limit = CHUNK): Promise<Buffer> {
    const length = await this.#done(() => this.channel.receive(parts().libc.address(this.#memory), limit));
    return Buffer.from(this.#memory.subarray(0, length));
  }

  async readAll(take: (bytes: Buffer) => void): Promise<void> {
    for (;;) {
      const bytes = await this.read();
      if (bytes.length === 0) return;
      take(bytes);
    }
  }

  async write(...pieces: Buffer[]): Promise<void> {
    let left = pieces;
    while (left.length > 0) {
      let taken = await this.#done(() => this.send(left));
      left = left.flatMap((piece) => {
        const bytes = Math.min(taken, piece.length);
        taken -= bytes;
        return bytes === piece.length ? [] : [piece.subarray(bytes)];
      });
    }
  }

  /** One call. */
  send(pieces: readonly Buffer[]): number {
    for (const [i, piece] of pieces.entries()) {
      this.#table.writeBigUInt64LE(parts().libc.address(piece), i * 16);
      this.#table.writeBigUInt64LE(BigInt(piece.length), i * 16 + 8);
    }
    return this.channel.send(parts().libc.address(this.#table), pieces.length);
  }

  async finish(): Promise<void> {
    await this.#done(() => this.channel.finish());
  }

  close(): void {
    this.channel.free();
    this.socket.destroy();
  }

  async #done(call: () => number): Promise<number> {
    const deadline = performance.now() + DEADLINE_MS;
    for (;;) {
      const result = call();
      if (result >= 0) return result;
      if (result !== -ERRNO.EAGAIN) throw this.channel.error ?? systemError(-result, 'a call of the channel');
      if (performance.now() > deadline) throw new Error(`still not done after ${DEADLINE_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, TURN_MS));
    }
  }
}

/** A socket of Node that is connected, and reads nothing. */
export async function connectTo(t: Test, port: number): Promise<Socket> {
  const socket = connectSocket({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  socket.pause();
  socket.on('error', () => undefined);
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** A listener on 127.0.0.1 whose connections get a channel of a context. */
export async function serve(t: Test, tls: TlsServer, on: (server: Driven) => void, its = parts().tickets) {
  const { ssl, libc } = parts();
  let context = new ServerContext(ssl, libc, tls, its);
  const open = new Set<Driven>();
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    const driven = new Driven(context.accept(descriptorOf(socket)), socket);
    open.add(driven);
    on(driven);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    for (const driven of open) driven.close();
    context.free();
  });
  return {
    port: (server.address() as { port: number }).port,
    /** Uses another context for new connections. */
    replace(next: TlsServer): void {
      context.free();
      context = new ServerContext(ssl, libc, next, its);
    },
  };
}

/** Connects a client's channel; its handshake is not begun. */
export async function dial(t: Test, context: ClientContext, port: number, tls: TlsClient): Promise<Driven> {
  const socket = await connectTo(t, port);
  const driven = new Driven(context.connect(descriptorOf(socket), tls, `127.0.0.1:${port}`), socket);
  t.teardown(() => driven.close());
  return driven;
}

/** Passes bytes on between a client and a server of TLS; `pass` may hold back, count, or cut them into pieces. */
export async function relay(
  t: Test,
  to: number,
  pass: (bytes: Buffer, on: Socket, fromClient: boolean) => unknown,
) {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, async (client) => {
    client.pause();
    const up = await connectTo(t, to);
    for (const [from, on] of [
      [client, up],
      [up, client],
    ] as const) {
      from.on('error', () => on.destroy());
      from.on('data', async (bytes) => {
        from.pause();
        await pass(bytes, on, from === client);
        from.resume();
      });
      from.on('end', () => on.end());
      // One that was destroyed has no end.
      from.on('close', () => on.end());
      from.resume();
      sockets.push(from);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

export function clientContext(t: Test, tls: Pick<TlsClient, 'credentials'>): ClientContext {
  const { ssl, libc } = parts();
  const context = new ClientContext(ssl, libc, tls.credentials);
  t.teardown(() => context.free());
  return context;
}

export function descriptorOf(socket: Socket): number {
  return (socket as Socket & { _handle: { fd: number } })._handle.fd;
}
