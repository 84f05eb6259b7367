import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServerSocket } from 'node:tls';
import type { SocketAddress } from 'mproxy-base';
import { descriptorLimit, takesReserve } from '../descriptors.js';
import { BACKLOG, HANDSHAKE_MS, KEEPALIVE_MS } from '../stream-defaults.js';
import type { Connection, ListenOptions, StreamListener, TlsServer, TlsSite } from '../streams.js';
import { addressOf, descriptorOf } from './connection.js';
import { noticeCut } from './cut.js';
import { readPreamble } from './preamble.js';
import { checkedSite, firstPair, serverOptions, verification } from './tls-contexts.js';

/** Makes a connection of an accepted socket, and of the TLS socket on it with what that was secured by. */
type Connect = (raw: Socket, stream: Socket, site?: TlsSite) => Connection;

/** A listener on a server of node:net, or node:tls. */
export class NodeStreamListener implements StreamListener {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Of sockets in their preamble or handshake: what is called at its end, see {@link ListenOptions.admit}. */
  readonly #admitted = new Map<Socket, () => void>();
  readonly #descriptors = descriptorLimit();
  #tls: TlsServer | undefined;

  constructor(
    private readonly options: ListenOptions,
    private readonly connect: Connect,
  ) {
    this.#tls = options.tls;
    this.#server = this.#create();
  }

  async open(): Promise<this> {
    const { at, backlog = BACKLOG } = this.options;
    if ('fd' in at && at.shared) throw new Error('a listener of Node cannot share its descriptor');
    const to = 'address' in at ? { ...at, host: at.address } : at;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ ...to, backlog }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    // accept(2) failed (Node: net, onconnection).
    this.#server.on('error', (error) => this.options.onAcceptError?.(error));
    return this;
  }

  get local(): SocketAddress | undefined {
    const address = this.#server.address();
    return address !== null && typeof address === 'object'
      ? addressOf(address.address, address.port)
      : undefined;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  secure(tls: Omit<TlsServer, 'alpn'>): void {
    (this.#server as TlsServerSocket).setSecureContext(firstPair(tls));
    Object.assign(this.#server, verification(tls));
    this.#tls = tls;
  }

  close(queued: 'reset' | 'accept' = 'reset'): void {
    if (queued === 'reset') this.#server.close();
    // In between, the event loop polls, and accepts all that wait (libuv: uv__server_io).
    else setImmediate(() => setImmediate(() => this.#server.close()));
  }

  closeConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** On preamble and handshake, each, in milliseconds. */
  get #limit(): number {
    return this.options.handshakeTimeout ?? HANDSHAKE_MS;
  }

  #create(): Server {
    const { keepAlive = KEEPALIVE_MS.accepted, tls, onConnection } = this.options;
    const options = {
      ...{ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAlive },
      pauseOnConnect: !tls,
    };
    if (!tls) {
      const accept = (socket: Socket) => {
        this.#ended(socket);
        onConnection(this.connect(socket, socket));
      };
      return createServer(options, (socket) => this.#accept(socket, accept));
    }
    const server = createTlsServer({
      ...options,
      handshakeTimeout: this.#limit,
      ...serverOptions(tls, () => this.#tls!),
    });
    // Node's own listeners begin the handshake: they are called for admitted connections alone.
    const handshakes = server.listeners('connection');
    server.removeAllListeners('connection');
    const accept = (socket: Socket) => {
      for (const handshake of handshakes) handshake.call(server, socket);
    };
    server.on('connection', (socket: Socket) => this.#accept(socket, accept));
    server.on('secureConnection', (socket) => {
      if (!socket.destroyed) this.#secured(socket);
    });
    server.on('tlsClientError', (error, socket) => this.#refused(error, socket));
    return server;
  }

  /** @param go goes on with an admitted socket, after its preamble */
  #accept(socket: Socket, go: (socket: Socket) => void): void {
    if (!this.#admit(socket)) return;
    const { preamble } = this.options;
    if (!preamble) go(socket);
    else
      readPreamble(socket, preamble, this.#limit, {
        onRead: () => go(socket),
        onError: (error) => this.#refused(error, socket),
      });
  }

  #secured(socket: TLSSocket): void {
    let site: TlsSite;
    try {
      site = checkedSite(socket, this.#tls!);
    } catch (error) {
      this.#refused(error as Error, socket);
      return;
    }
    const raw = rawOf(socket);
    this.#ended(raw);
    noticeCut(socket, raw);
    this.options.onConnection(this.connect(raw, socket, site));
  }

  #refused(error: Error, socket: Socket): void {
    this.#ended(rawOf(socket));
    this.options.onHandshakeError?.(error, addressOf(socket.remoteAddress, socket.remotePort));
    socket.destroy();
  }

  #admit(socket: Socket): boolean {
    const peer = addressOf(socket.remoteAddress, socket.remotePort);
    const limit = this.#descriptors;
    const scarce = takesReserve(descriptorOf(socket), limit) ? limit : undefined;
    const admitted = this.options.admit?.(peer, scarce);
    if (admitted === false) {
      socket.destroy();
      return false;
    }
    this.#sockets.add(socket);
    if (typeof admitted === 'function') this.#admitted.set(socket, admitted);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#ended(socket);
    });
    return true;
  }

  #ended(socket: Socket): void {
    const admitted = this.#admitted.get(socket);
    this.#admitted.delete(socket);
    admitted?.();
  }
}

/** The accepted socket below a TLS socket, which Node does not publish; of an accepted one itself. */
function rawOf(socket: Socket): Socket {
  return (socket as Socket & { _parent?: Socket | null })._parent ?? socket;
}
