import type { TlsCredentials, TlsServer } from '../../streams.js';
import type { Libc } from '../libc.js';
import { ClientContext } from './client-context.js';
import { loadOpenssl, type Openssl } from './openssl.js';
import { ServerContext } from './server-context.js';
import type { TicketKeys } from './ticket-keys.js';
import { SessionTickets } from './tickets.js';

/** TLS in one thread. */
export class Tls {
  readonly #ssl: Openssl;
  readonly #tickets: SessionTickets;
  readonly #clients = new WeakMap<TlsCredentials, ClientContext>();
  /** Credentials that are no longer in use, nor a connection that they began with. */
  readonly #unused = new FinalizationRegistry((free: () => void) => free());

  /**
   * @param keys of session tickets: threads that have the same resume the sessions of each other
   * @throws where this Node does not export OpenSSL 3
   */
  constructor(
    private readonly libc: Libc,
    keys: TicketKeys,
  ) {
    this.#ssl = loadOpenssl();
    this.#tickets = new SessionTickets(this.#ssl, keys);
  }

  /** A new context; the caller frees it. @throws the error of OpenSSL, if a certificate or key is invalid */
  server(tls: TlsServer): ServerContext {
    return new ServerContext(this.#ssl, this.libc, tls, this.#tickets);
  }

  /** The context of a client, made once. @throws the error of OpenSSL, if a certificate or key is invalid */
  client(credentials: TlsCredentials): ClientContext {
    let context = this.#clients.get(credentials);
    if (!context) {
      context = new ClientContext(this.#ssl, this.libc, credentials);
      this.#clients.set(credentials, context);
      this.#unused.register(context, context.finalizer);
    }
    return context;
  }
}
