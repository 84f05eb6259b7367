import { type BlockList, createServer, isIPv4, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { failure, reason, showAddress } from 'mproxy-base';
import type { Answer, TlsIdentities } from 'mproxy-net';
import {
  type Address,
  ALLOW_NAME,
  canonicalIp,
  descriptorLimit,
  isMissing,
  listenFailure,
  takesReserve,
} from 'mproxy-net';
import { ADDRESS_SKIPPED } from '../../events.js';
import type { NoticeLimit } from '../../notices.js';
import type { Program } from '../../program.js';
import { isIPv6Only } from '../../targets.js';
import { ACCEPT_FAILED, CONNECTION_REFUSED, HANDSHAKE_FAILED } from './events.js';

export interface ListenerOptions {
  allow: BlockList | undefined;
  /** Given for `tls://`. */
  identities: TlsIdentities | undefined;
  /** Limit on connections, those in a TLS handshake included, and the flag that sets it. */
  most: number;
  mostFlag: string;
  /** For events that peers cause. */
  notices: NoticeLimit;
  /** Called when a connection is refused. */
  refused: () => void;
  /** Takes a connection after its TLS handshake, with the address of its peer. */
  accepted: (socket: Socket, peer: string) => void;
}

/** Accepts TCP or TLS connections on every answer of one address. */
export class Listener {
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #descriptors = descriptorLimit();

  constructor(
    private readonly program: Program,
    private readonly address: Address,
    private readonly options: ListenerOptions,
  ) {}

  /** @throws MPROXY_LISTEN */
  async open(answers: Answer[]): Promise<void> {
    let { port } = this.address;
    for (const { ip, zone } of answers) {
      const server = this.#create();
      const host = zone === undefined ? ip : `${ip}%${zone}`;
      try {
        const ipv6Only = isIPv6Only(this.program, 'stream', ip, this.address.port);
        await listen(server, { host, port, ipv6Only });
      } catch (error) {
        const missing = isMissing(error) && answers.length > 1;
        if (!missing) throw listenFailure(this.address, error);
        this.program.emit(ADDRESS_SKIPPED, { listener: this.#name, address: ip, reason: reason(error) });
        continue;
      }
      // accept(2) failed (Node: net, onconnection).
      server.on('error', (error) =>
        this.options.notices.emit(ACCEPT_FAILED, { listener: this.#name, reason: reason(error) }),
      );
      port = (server.address() as { port: number }).port;
      this.#servers.push(server);
      const local = { address: host, port };
      const transport = this.options.identities ? 'tls' : 'tcp';
      this.program.listening({ transport, local: showAddress(local) }, local);
    }
    if (this.#servers.length > 0) return;
    throw failure(
      'MPROXY_LISTEN',
      'listening',
      this.address.text,
      'none of its answers is an address of this host',
    );
  }

  /** Uses the current certificates for new connections. */
  reload(): void {
    const { identities } = this.options;
    for (const server of this.#servers)
      if (identities) (server as TlsServer).setSecureContext(identities.firstPair);
  }

  /** Stops accepting connections. */
  close(): void {
    for (const server of this.#servers) server.close();
  }

  destroySockets(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #create(): Server {
    const { identities } = this.options;
    const options = { allowHalfOpen: true, keepAlive: true, keepAliveInitialDelay: 60_000, noDelay: true };
    const server = identities
      ? createTlsServer({ ...options, ...identities.serverOptions })
      : createServer(options);
    // A TLS server's own listeners start the handshake: called for admitted connections only.
    const handshakes = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      if (!this.#admit(socket)) return;
      if (!identities) this.#accept(socket);
      for (const handshake of handshakes) handshake.call(server, socket);
    });
    server.on('secureConnection', (socket: Socket) => this.#accept(socket));
    server.on('tlsClientError', (error: Error, socket: Socket) => {
      this.options.notices.emit(HANDSHAKE_FAILED, { listener: this.#name, reason: reason(error) });
      socket.destroy();
    });
    return server;
  }

  /** Closes a refused connection before the TLS handshake. @returns whether it is admitted */
  #admit(socket: Socket): boolean {
    const peer = canonicalIp((socket.remoteAddress ?? '').replace(/%.*/, ''));
    const refusal = this.#refusal(socket, peer);
    if (!refusal) {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      return true;
    }
    this.options.refused();
    const event = { listener: this.#name, peer: peer ?? 'a client', ...refusal };
    this.options.notices.emit(CONNECTION_REFUSED, event);
    socket.destroy();
    return false;
  }

  /** What refuses a connection, and why; undefined: it is admitted. */
  #refusal(socket: Socket, peer: string | undefined): { by: string; reason: string } | undefined {
    const { allow, most, mostFlag } = this.options;
    if (allow && !(peer && allow.check(peer, isIPv4(peer) ? 'ipv4' : 'ipv6')))
      return { by: ALLOW_NAME, reason: `${ALLOW_NAME} does not name it` };
    const { size } = this.#sockets;
    if (size >= most) return { by: mostFlag, reason: `there are ${size} already (${mostFlag})` };
    const limit = this.#descriptors;
    if (!takesReserve(socket, limit)) return undefined;
    return {
      by: 'descriptors',
      reason: `this process has its last descriptors of ${limit}; raise the limit (ulimit -n, LimitNOFILE=)`,
    };
  }

  #accept(socket: Socket): void {
    if (socket.destroyed) return;
    const { remoteAddress = '', remotePort = 0 } = socket;
    const address = canonicalIp(remoteAddress) ?? remoteAddress;
    this.options.accepted(socket, showAddress({ address, port: remotePort }));
  }

  get #name(): string {
    return this.address.text;
  }
}

function listen(server: Server, options: { host: string; port: number; ipv6Only: boolean }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...options, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
