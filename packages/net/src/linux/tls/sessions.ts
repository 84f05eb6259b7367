import type { Openssl } from './openssl.js';

/** Servers whose sessions are kept, at most; beyond, the one whose session is the oldest is forgotten. */
const SERVERS = 1000;
const TLS1_3_VERSION = 0x304;

/** The newest session of each server, for the next connection to it. */
export class Sessions {
  /** SSL_SESSION *, with a reference each. */
  readonly #sessions = new Map<string, number>();

  constructor(private readonly ssl: Openssl) {}

  /** Takes over a reference. */
  set(server: string, session: number): void {
    this.#forget(server);
    this.#sessions.set(server, session);
    if (this.#sessions.size > SERVERS) this.#forget(this.#sessions.keys().next().value!);
  }

  /** Offers what there is in the handshake of a connection. */
  offer(server: string, connection: number): void {
    const { ssl } = this;
    const session = this.#sessions.get(server);
    if (session === undefined) return;
    ssl.SSL_set_session(connection, session);
    // A ticket of TLS 1.3 is used once: twice the same would tell observers whose connections these are (RFC 8446, appendix C.4).
    if (ssl.SSL_SESSION_get_protocol_version(session) === TLS1_3_VERSION) this.#forget(server);
  }

  free(): void {
    for (const server of this.#sessions.keys()) this.#forget(server);
  }

  #forget(server: string): void {
    const session = this.#sessions.get(server);
    if (session === undefined) return;
    this.#sessions.delete(server);
    this.ssl.SSL_SESSION_free(session);
  }
}
