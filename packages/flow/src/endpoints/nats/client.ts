import { setTimeout as wait } from 'node:timers/promises';
import { reason, showAddress, throwInternal } from 'mproxy-base';
import { Backoff } from 'mproxy-net';
import { countConnection } from '../../counts.js';
import { NoticeLimit } from '../../notices.js';
import type { Program } from '../../program.js';
import type { ClientHandler } from './client-handler.js';
import { PERMISSION_DENIED, SERVER_CONNECTED, SERVER_FAILED, SERVER_LEAVING } from './events.js';
import type { ServerAddress, ServerInfo } from './info.js';
import type { Message } from './protocol.js';
import {
  ServerConnection,
  type ServerConnectionHandler,
  type ServerConnectionOptions,
} from './server-connection.js';
import { ServerError } from './server-error.js';
import { isSame, Servers } from './servers.js';
import { type Subscription, Subscriptions } from './subscriptions.js';

/** A connection that lived this long is replaced without a delay, but for this much at random, in milliseconds. */
const STABLE_MS = 2000;
const SPREAD_MS = 100;
/** Limit on the delay between attempts where a server was used before: what is published meanwhile is lost. */
const MAX_RETRY_MS = 2000;
/** How often the same reason of such failures is reported, in milliseconds. */
const REPEAT_MS = 30_000;
/** Limit on the end of a connection to a server that is about to stop, in milliseconds. */
const LEAVE_MS = 2000;
/** Limit on taking what the server sent before the end, in milliseconds. */
const END_MS = 300;

/** What a client does. Its words are those of notices. */
export type Action = 'receiving' | 'sending';

export interface ClientOptions extends ServerConnectionOptions {
  /** The address for the user, without secrets. */
  name: string;
  action: Action;
  servers: readonly ServerAddress[];
  /** Called with each server before data pass. @throws MPROXY_LOOP: data would come back */
  admit?: (info: ServerInfo) => void;
}

/** A client of a set of servers: always connected to one of them, or trying to be. */
export class Client implements ServerConnectionHandler {
  readonly notices: NoticeLimit;
  readonly #servers: Servers;
  readonly #subscriptions = new Subscriptions();
  #current: ServerConnection | undefined;
  /** Why there is no connection. */
  disconnected: string | undefined = 'connecting';
  /** The first subscriptions were accepted: refusals are reported from then on, and do not end the client. */
  #wasAccepted = false;
  #refused: ServerError | undefined;
  readonly #backoff = new Backoff();
  readonly #retries = new Backoff(MAX_RETRY_MS);
  #reported = { reason: '', at: Number.NEGATIVE_INFINITY };
  readonly #closing = new AbortController();

  constructor(
    program: Program,
    private readonly options: ClientOptions,
    private readonly handler: ClientHandler,
  ) {
    this.notices = new NoticeLimit(`${options.action}: ${options.name}`, program);
    this.#servers = new Servers(options.servers);
  }

  get connection(): ServerConnection | undefined {
    return this.#current;
  }

  /** Subscribes, now and after every connect. @returns a function that ends the subscription */
  subscribe(subscription: Subscription): () => void {
    const sid = this.#subscriptions.add(subscription, this.#current);
    return () => this.#subscriptions.remove(sid, this.#current);
  }

  /** Connects again and again until it is closed. @throws ServerError: refused at the start; MPROXY_LOOP */
  async run(): Promise<void> {
    let next: ServerConnection | undefined;
    while (!this.#closing.signal.aborted) {
      next ??= await this.#connect();
      if (!next) break;
      this.#admit(next);
      next = await this.#use(next);
    }
    next?.close();
    if (this.#refused) throw this.#refused;
  }

  /** Takes what the server already sent, then closes. */
  async end(): Promise<void> {
    if (this.#current) await this.#drain(this.#current, END_MS);
    this.close();
  }

  close(): void {
    this.#closing.abort();
    this.#current?.close();
  }

  /** Tries all servers in rounds, with a delay after each. @returns undefined when it is closed */
  async #connect(): Promise<ServerConnection | undefined> {
    const { signal } = this.#closing;
    for (let last: ServerAddress | undefined; !signal.aborted; ) {
      let why: unknown;
      for (const server of this.#servers.round(last)) {
        try {
          return await ServerConnection.open(this.options, server, this, signal);
        } catch (error) {
          throwInternal(error);
          if (signal.aborted) return undefined;
          if (error instanceof ServerError && error.refusesLogin && !this.#wasAccepted)
            return this.#refuse(error);
          why = error;
          last = server;
        }
      }
      await this.#wait(why, (this.#wasAccepted ? this.#retries : this.#backoff).next());
    }
    return undefined;
  }

  #admit(connection: ServerConnection): void {
    try {
      this.options.admit?.(connection.info);
    } catch (error) {
      connection.close();
      this.close();
      throw error;
    }
  }

  /** Uses a connection to its end, or until there is a better one. @returns that one */
  async #use(connection: ServerConnection): Promise<ServerConnection | undefined> {
    const { signal } = this.#closing;
    const since = performance.now();
    this.#attach(connection);
    const isNew = () => performance.now() - since < STABLE_MS;
    if ((await Promise.race([connection.closed, connection.lameDuck])) === 'lame duck') {
      // Where all servers shut down, each of them would be moved from at once.
      if (isNew())
        await Promise.race([connection.closed, wait(this.#backoff.next(), undefined, { ref: false })]);
      const next = await this.#another(connection);
      if (next) {
        await this.#leave(connection);
        return next;
      }
    }
    const why = await connection.closed;
    if (!signal.aborted) this.disconnected = reason(why);
    this.#detach(false);
    if (signal.aborted) return undefined;
    const next = this.#backoff.next();
    await this.#wait(why, isNew() ? next : Math.round(Math.random() * SPREAD_MS));
    return undefined;
  }

  #attach(connection: ServerConnection): void {
    this.#current = connection;
    this.disconnected = undefined;
    this.#backoff.connected();
    this.#retries.connected();
    this.onInfo(connection.info, connection.server);
    this.#subscriptions.beginAll(connection);
    countConnection(this.handler.counts);
    this.handler.onAttached(connection);
    void connection.ping().then((answered) => {
      if (answered) this.#accepted(connection);
    });
  }

  /** The server accepted the subscriptions. */
  #accepted({ connection: { peer }, server, info }: ServerConnection): void {
    this.#wasAccepted = true;
    this.#reported.reason = '';
    const { action, name: address } = this.options;
    const at = showAddress(peer ?? { address: server.host, port: server.port });
    // A server without a name has its identity for one, 56 letters and digits.
    const name = info.name.length < 56 ? info.name || undefined : undefined;
    this.notices.emit(SERVER_CONNECTED, { action, address, server: at, name });
  }

  #detach(confirmed: boolean): void {
    this.#current = undefined;
    this.handler.counts.connections.now--;
    this.handler.onDetached(confirmed);
  }

  /** Connects to a server other than the one that is about to stop; tries each once. */
  async #another(connection: ServerConnection): Promise<ServerConnection | undefined> {
    const { action, name: address } = this.options;
    const leaving = showAddress({ address: connection.server.host, port: connection.server.port });
    this.notices.emit(SERVER_LEAVING, { action, address, server: leaving });
    for (const server of this.#servers.round()) {
      if (isSame(server, connection.server)) continue;
      try {
        return await ServerConnection.open(this.options, server, this, this.#closing.signal);
      } catch (error) {
        // The connection is still there; if it ends, all servers are tried again, and why they failed is reported.
        throwInternal(error);
      }
    }
    return undefined;
  }

  /** Ends the use of a connection: if there is time, when all that it was sent is handled and all that it sent is here. */
  async #leave(connection: ServerConnection): Promise<void> {
    this.handler.onLeaving();
    this.#detach(await this.#drain(connection, LEAVE_MS));
    connection.close();
  }

  /** Ends the subscriptions of a connection. @returns whether all messages until then are here; else it is closed */
  async #drain(connection: ServerConnection, limit: number): Promise<boolean> {
    this.#subscriptions.endAll(connection);
    const timer = setTimeout(() => connection.close(), limit);
    const answered = await connection.ping();
    clearTimeout(timer);
    return answered;
  }

  #refuse(error: ServerError): undefined {
    this.#refused = error;
    this.close();
    return undefined;
  }

  async #wait(why: unknown, retryMs: number): Promise<void> {
    const { signal } = this.#closing;
    this.disconnected = reason(why);
    this.#reportFailure(this.disconnected, retryMs);
    await wait(retryMs, undefined, { signal }).catch(() => undefined);
  }

  #reportFailure(reason: string, retryMs: number): void {
    const { action, name: address } = this.options;
    const now = performance.now();
    if (this.#wasAccepted && reason === this.#reported.reason && now - this.#reported.at < REPEAT_MS) return;
    this.#reported = { reason, at: now };
    this.notices.emit(SERVER_FAILED, { action, address, reason, retryMs });
  }

  /** @internal called by a connection */
  onInfo({ urls }: ServerConnection['info'], server: ServerConnection['server']): void {
    this.#servers.learn(urls, server);
  }

  /** @internal called by a connection */
  onMessage(message: Message): void {
    this.#subscriptions.onMessage(message);
  }

  /** @internal called by a connection */
  onBurstEnd(): void {
    this.handler.onBurstEnd();
  }

  /** @internal called by a connection */
  onError(error: ServerError): void {
    const { action, name: address } = this.options;
    const effect = this.handler.onDenied(error);
    if (this.#wasAccepted)
      this.notices.emit(PERMISSION_DENIED, { action, address, reason: error.message, effect });
    else this.#refuse(error);
  }

  /** @internal called by a connection */
  onDrain(): void {
    this.handler.onDrain();
  }
}
