import { type Listed, Roster, type SocketAddress, showAddress } from 'mproxy-base';
import type { AddressRule, Connection, ListenAddress, StreamListener, Streams, TlsServer } from 'mproxy-net';
import { parseAddress } from 'mproxy-net/address';
import { chooseEngine } from 'mproxy-net/engine';
import { resolveAll, scoped } from 'mproxy-net/resolve';
import { Connections } from './connections.js';
import { Context } from './context.js';
import { PROXY_HEADER_MOST, parseProxyHeader } from './proxy-header.js';
import type { ProxyProtocolOptions } from './proxy-protocol.js';
import { whenDone } from './result.js';
import type { Service } from './service.js';

/** Connections that wait in an engine that cannot leave them in the backlog, or are in a TLS handshake, beyond those that are served. */
const WAITING = 4096;
/** How long idle connections of a server that stops stay open: a request may be on its way already. In milliseconds. */
const SENT_MS = 100;
/** How long a stop waits for TLS handshakes that are under way, in milliseconds, and how often it looks. */
const HANDSHAKE_MS = 2000;
const POLL_MS = 10;
const RULE: AddressRule = { flag: 'address to listen on', keys: [], listens: true };

export interface ServerOptions {
  /** Default: those of the engine that `auto` selects. */
  streams?: Streams;
  /** Connections that wait to be accepted, at most (listen(2)). Default: 4096. */
  backlog?: number;
  /** Its connections, of which there may be a limit; several servers can share them. Default: no limit. */
  connections?: Connections;
  /** Secures all connections. Default: no TLS. */
  tls?: TlsServer | undefined;
  /**
   * With `tls`: every connection begins with a header of the PROXY protocol, before its TLS handshake. Its addresses are those of the
   * context. Default: none does. Without TLS, that is the layer `proxyProtocol`.
   */
  proxyProtocol?: Pick<ProxyProtocolOptions, 'trusts'> | undefined;
  /** With `tls`: whether a connection may begin its handshake, see `admit` of ListenOptions. Default: all may. */
  admit?: ((peer: SocketAddress | undefined) => boolean | (() => void)) | undefined;
  /** Limit on a TLS handshake, and what comes before it, in milliseconds. Default: 10,000. */
  handshakeTimeout?: number | undefined;
  /** A TLS handshake failed, or what comes before it, or it took too long. */
  onHandshakeError?(error: Error, peer: SocketAddress | undefined): void;
  /** Takes what a service threw, and failures of accept(2). Default: an uncaught exception. */
  onError?(error: unknown, context: Context | undefined): void;
}

/** Listens on TCP addresses. */
export interface Server {
  /**
   * Serves each connection; it is closed when the service is done.
   * @throws MPROXY_USAGE, MPROXY_RESOLVE, or the system's error (bind(2), listen(2))
   */
  serve(service: Service<Connection, void>): Promise<Serving>;
}

/** @param at `HOST:PORT`, whose addresses are all listened on; port 0: the system picks one */
export function tcpServer(at: string | ListenAddress, options: ServerOptions = {}): Server {
  return { serve: async (service) => open(await addresses(at), options, service) };
}

/** @param path of the socket; it is removed at the end. An abstract one begins with NUL (unix(7)) */
export function unixServer(path: string, options: ServerOptions = {}): Server {
  return { serve: (service) => open([{ path }], options, service) };
}

async function addresses(at: string | ListenAddress): Promise<ListenAddress[]> {
  if (typeof at !== 'string') return [at];
  const address = parseAddress(at, RULE);
  const answers = await resolveAll(address, new AbortController().signal);
  return answers.map((answer) => ({ address: scoped(answer), port: address.port, ipv6Only: true }));
}

async function open(
  all: readonly ListenAddress[],
  options: ServerOptions,
  service: Service<Connection, void>,
): Promise<Serving> {
  const serving = new Serving(options, service);
  try {
    for (const at of all) await serving.listen(at);
    return serving;
  } catch (error) {
    serving.close();
    throw error;
  }
}

/** A connection that is served. */
interface Served extends Listed {
  readonly connection: Connection;
  readonly context: Context;
}

/** A server that listens. */
export class Serving {
  readonly connections: Connections;
  /** What it listens on, as contexts name it: `127.0.0.1:8000`, `unix:/path`. */
  readonly names: string[] = [];
  /** Bound addresses, with the ports that the system picked; without Unix sockets. */
  readonly addresses: SocketAddress[] = [];
  readonly #listeners: StreamListener[] = [];
  readonly #streams: Streams;
  readonly #open = new Roster<Served>();
  /** Accepted, but there is no room for them. */
  readonly #waiting: Served[] = [];
  readonly #onRoom = (): void => this.#serveWaiting();
  #onEmpty: (() => void) | undefined;

  constructor(
    private readonly options: ServerOptions,
    private readonly service: Service<Connection, void>,
  ) {
    this.#streams = options.streams ?? chooseEngine('auto').engine.streams;
    this.connections = options.connections ?? new Connections();
    this.connections.onRoom.add(this.#onRoom);
  }

  /** @throws the system's error */
  async listen(at: ListenAddress): Promise<void> {
    let name = 'path' in at ? `unix:${at.path}` : '';
    const { backlog, tls, proxyProtocol, handshakeTimeout, onHandshakeError } = this.options;
    const listener = await this.#streams.listen({
      at,
      backlog: backlog ?? WAITING,
      ...(tls && { tls, admit: (peer) => this.#admit(peer) }),
      ...(tls && proxyProtocol && { preamble: { most: PROXY_HEADER_MOST, parse: parseProxyHeader } }),
      ...(handshakeTimeout !== undefined && { handshakeTimeout }),
      ...(onHandshakeError && { onHandshakeError }),
      onConnection: (connection) => this.#take(connection, name),
      onAcceptError: (error) => this.#report(error, undefined),
    });
    const { local } = listener;
    if (local) this.addresses.push(local);
    if (name === '') name = local ? showAddress(local) : `fd:${(at as { fd: number }).fd}`;
    this.names.push(name);
    this.#listeners.push(listener);
  }

  /** Uses other certificates for TLS handshakes from now on. @throws the error of OpenSSL, if a certificate or key is invalid */
  secure(tls: Omit<TlsServer, 'alpn'>): void {
    for (const listener of this.#listeners) listener.secure(tls);
  }

  /** Accepts what waits in the backlogs, and no more connections; those that wait are served, the others go on. */
  close(): void {
    for (const listener of this.#listeners) listener.close('accept');
  }

  /**
   * Closes, lets connections end after what they do now, idle ones after 100 ms, and cuts those that take longer.
   * @param grace in milliseconds
   * @returns how many were cut
   */
  async drain(grace: number): Promise<number> {
    this.close();
    this.connections.draining = true;
    await this.#secured(Math.min(HANDSHAKE_MS, grace));
    const sent = Math.min(SENT_MS, grace);
    await this.#empty(sent);
    this.connections.drain();
    await this.#empty(grace - sent);
    return this.cut();
  }

  /** Resolves when no TLS handshake is under way, or after a time. */
  async #secured(ms: number): Promise<void> {
    for (const end = performance.now() + ms; this.#handshakes > 0 && performance.now() < end; )
      await new Promise<void>((resolve) => this.#streams.timer(resolve).set(POLL_MS));
  }

  /** Resolves when no connection is open, or after a time. */
  async #empty(ms: number): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#streams.timer(resolve);
      timer.set(ms);
      this.#onEmpty = () => {
        timer.clear();
        resolve();
      };
    });
    this.#onEmpty = undefined;
  }

  /** Cuts all connections, with a reset. @returns how many there were */
  cut(): number {
    this.close();
    const all = this.#waiting.splice(0);
    this.#open.each((one) => all.push(one));
    const error = new Error('the server stopped');
    for (const { connection, context } of all) {
      context.abort(error);
      connection.abort(error);
    }
    this.connections.onRoom.delete(this.#onRoom);
    return all.length;
  }

  /** Handshakes are bounded, as connections that are served wait for their room already. */
  #admit(peer: SocketAddress | undefined): boolean | (() => void) {
    const { proxyProtocol, admit } = this.options;
    if (this.#handshakes >= WAITING || proxyProtocol?.trusts(peer) === false) return false;
    return admit?.(peer) ?? true;
  }

  /** Connections that are not secured yet. */
  get #handshakes(): number {
    const all = this.#listeners.reduce((sum, { connections }) => sum + connections, 0);
    return all - this.#open.size - this.#waiting.length;
  }

  #take(connection: Connection, listener: string): void {
    const { tls, preamble } = connection;
    const peer = preamble?.source ?? connection.peer;
    const local = preamble?.destination ?? connection.local;
    const context = new Context({ peer, local, tls, listener, connections: this.connections });
    const one: Served = { connection, context, slot: undefined };
    if (this.#waiting.length === 0 && this.connections.hasRoom) {
      this.#serve(one);
      return;
    }
    if (this.#waiting.length < WAITING) this.#waiting.push(one);
    else connection.abort();
    for (const one of this.#listeners) one.pause?.();
  }

  #serveWaiting(): void {
    while (this.#waiting.length > 0 && this.connections.hasRoom) this.#serve(this.#waiting.shift()!);
    if (this.#waiting.length > 0) return;
    for (const one of this.#listeners) one.resume?.();
  }

  #serve(one: Served): void {
    const { connections } = this;
    const { connection, context } = one;
    if (connections.count >= connections.most) connections.closeLongestIdle();
    connections.opened();
    this.#open.add(one);
    const failed = (error: unknown) => {
      this.#done(one);
      connection.abort();
      this.#report(error, context);
    };
    try {
      whenDone(this.service.call(connection, context), () => this.#done(one), failed);
    } catch (error) {
      failed(error);
    }
  }

  #done(one: Served): void {
    this.#open.delete(one);
    one.connection.close();
    this.connections.closed();
    if (this.#open.size === 0) this.#onEmpty?.();
  }

  #report(error: unknown, context: Context | undefined): void {
    if (!this.options.onError) throw error;
    this.options.onError(error, context);
  }
}
