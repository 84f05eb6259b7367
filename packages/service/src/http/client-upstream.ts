import { throwInternal } from 'mproxy-base';
import type { TlsClient } from 'mproxy-net';
import { timedOut } from 'mproxy-net/socket-errors';
import { Addresses } from '../addresses.js';
import type { Deadlines } from '../deadlines.js';
import { type Connected, connectToAny } from '../race.js';
import { type ConnectionOwner, UpstreamConnection } from './client-connection.js';
import { Health } from './client-health.js';
import type { ClientSettings, UpstreamTimeouts } from './client-options.js';
import { Pool } from './client-pool.js';
import type { HttpRequest } from './message.js';
import { parseUpstream } from './upstream-address.js';

/** One upstream of a client: its addresses, its connections, and whether it works. */
export class Upstream implements ConnectionOwner {
  /** `http://127.0.0.1:3000`, `https://api.example.com`, `unix:/path`: for the access log and metrics. */
  readonly name: string;
  /** Its host and port, as in Host. */
  readonly authority: string;
  readonly pool: Pool<UpstreamConnection>;
  readonly health: Health;
  readonly deadlines: Deadlines;
  readonly timeouts: UpstreamTimeouts;
  readonly idleTime: number;
  /** Its last response was of HTTP/1.0: it cannot take chunked requests (RFC 9112, section 6.1). */
  isOld = false;
  readonly #addresses: Addresses;
  /** Undefined: it speaks no TLS. */
  readonly #secureHost: string | undefined;
  readonly #checks = new Set<NodeJS.Timeout>();

  /**
   * @param index among the client's upstreams
   * @throws a RangeError if the URL is none of an upstream
   */
  constructor(
    url: string | URL,
    readonly index: number,
    private readonly settings: ClientSettings,
  ) {
    const { target, authority, name, isSecure } = parseUpstream(url);
    this.authority = authority;
    this.name = name;
    if (isSecure && !settings.tls) throw new RangeError(`${name}: tls is missing: whom it trusts`);
    this.#secureHost = isSecure ? (target as { host: string }).host : undefined;
    this.deadlines = settings.deadlines;
    this.timeouts = settings.timeouts;
    this.idleTime = settings.pool.idle;
    this.health = new Health(settings.health[index], settings.ejection);
    this.pool = new Pool(settings.pool, () => this.#connect());
    this.#addresses = new Addresses(target, {
      lookUp: settings.lookUp,
      refresh: settings.refresh,
      onChange: (addresses) => {
        for (const one of this.pool.open) if (!addresses.includes(one.address)) one.close();
      },
    });
  }

  /** An idle connection. */
  take(): UpstreamConnection | undefined {
    this.#addresses.refresh(this.deadlines.now);
    return this.pool.take();
  }

  release(connection: UpstreamConnection): void {
    this.pool.release(connection);
  }

  remove(connection: UpstreamConnection): void {
    this.pool.remove(connection);
  }

  hostFor({ authority }: HttpRequest): string {
    return this.settings.hostHeader === 'upstream' || authority === '' ? this.authority : authority;
  }

  succeeded(): void {
    this.health.succeeded();
  }

  /** It failed a request of a client, in a way that says something of it. */
  failed(client: string | undefined): void {
    this.#eject(this.health.failed(client));
  }

  close(): void {
    this.pool.close();
    this.#addresses.close();
    for (const timer of this.#checks) clearTimeout(timer);
  }

  async #connect(): Promise<UpstreamConnection> {
    const { connection, address } = await this.#open();
    this.#addresses.prefer(address);
    return new UpstreamConnection(connection, address, this);
  }

  /** @throws the system's or the resolver's error; ETIMEDOUT */
  async #open(): Promise<Connected> {
    const { streams, timeouts } = this.settings;
    const now = performance.now();
    const addresses = await within(timeouts.connect, this.#addresses.get(now));
    const timeout = Math.max(1, now + timeouts.connect - performance.now());
    return connectToAny(streams, addresses, { timeout, tls: this.#tls });
  }

  get #tls(): TlsClient | undefined {
    if (this.#secureHost === undefined) return undefined;
    const { credentials, serverName = this.#secureHost, insecure = false } = this.settings.tls!;
    return { credentials, serverName, insecure, alpn: ['http/1.1'] };
  }

  /** @param ms for how long; undefined: it is not ejected */
  #eject(ms: number | undefined): void {
    if (ms === undefined) return;
    this.settings.observer.onHealth?.(this.index, false);
    const timer = setTimeout(() => {
      this.#checks.delete(timer);
      void this.#check();
    }, ms).unref();
    this.#checks.add(timer);
  }

  /** An ejected upstream returns if it can be connected to. */
  async #check(): Promise<void> {
    try {
      const { connection } = await this.#open();
      connection.close();
    } catch (error) {
      throwInternal(error);
      this.#eject(this.health.checked(false));
      return;
    }
    this.health.checked(true);
    this.settings.observer.onHealth?.(this.index, true);
  }
}

/** A promise that is rejected with ETIMEDOUT after a time. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(timedOut('timed out')), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
