import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { showAddress } from 'mproxy-base';
import { canonicalIp } from 'mproxy-net/address';
import { Allowed } from 'mproxy-net/allowed';
import type { Network } from 'mproxy-net/datagrams';
import { removeUnused } from 'mproxy-net/unix-files';
import type { Listening, StatusData } from './messages.js';

/** Limits of the status server: whatever is sent to it, it takes little memory and time. */
const LIMITS = {
  /** Bytes of a request's head. */
  maxHeaderSize: 8 * 1024,
  /** Milliseconds for the head of a request, and between requests. */
  headersTimeout: 3000,
  requestTimeout: 3000,
  connectionsCheckingInterval: 1000,
  keepAliveTimeout: 5000,
};
const MAX_CONNECTIONS = 100;
/** Milliseconds without progress of an answer. */
const STALLED_MS = 10_000;

/** The HTTP servers of one status address: one for each IP address that its name has. */
export class StatusServer {
  readonly #servers: Server[] = [];
  /** Open connections without a request, the oldest first. */
  readonly #waiting = new Set<Socket>();
  #connections = 0;
  readonly #allowed: Allowed | undefined;

  /** @param allow peers that are served; none: all */
  constructor(
    allow: readonly Network[],
    private readonly onRequest: RequestListener,
  ) {
    this.#allowed = allow.length > 0 ? new Allowed(allow) : undefined;
  }

  /** @throws the system's error */
  async listen(at: StatusData['listen']): Promise<Listening> {
    if ('path' in at) {
      await removeUnused(at.path);
      await once(this.#create().listen(at.path), 'listening');
      return { urls: [`unix:${at.path}`], listen: at };
    }
    let { port } = at;
    const urls: string[] = [];
    for (const { host, family } of at.hosts) {
      const server = this.#create();
      await once(server.listen({ port, host, ipv6Only: family === 6 }), 'listening');
      ({ port } = server.address() as { port: number });
      urls.push(`http://${showAddress({ address: host, port })}/`);
    }
    return { urls, listen: { ...at, port } };
  }

  close(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  #create(): Server {
    const server = createServer({ ...LIMITS, insecureHTTPParser: false }, (request, response) => {
      const { socket } = request;
      this.#waiting.delete(socket);
      response.on('close', () => {
        if (!socket.destroyed) this.#waiting.add(socket);
      });
      this.onRequest(request, response);
    });
    server.setTimeout(STALLED_MS, (socket: Socket) => socket.destroy());
    server.on('connection', (socket: Socket) => this.#admit(socket));
    this.#servers.push(server);
    return server;
  }

  /** Beyond the limit the connection that has waited longest without a request is closed. */
  #admit(socket: Socket): void {
    const peer = canonicalIp(socket.remoteAddress?.split('%')[0] ?? '');
    if (peer !== undefined && this.#allowed?.hasAddress(peer) === false) {
      socket.destroy();
      return;
    }
    this.#connections++;
    this.#waiting.add(socket);
    socket.on('close', () => {
      this.#connections--;
      this.#waiting.delete(socket);
    });
    if (this.#connections <= MAX_CONNECTIONS) return;
    const [oldest = socket] = this.#waiting;
    oldest.destroy();
  }
}
