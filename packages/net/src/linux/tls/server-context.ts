import { createHash, X509Certificate } from 'node:crypto';
import type { TlsServer } from '../../streams.js';
import type { Libc } from '../libc.js';
import { encodeProtocols } from './alpn.js';
import { sentServerName } from './client-hello.js';
import { Context } from './context.js';
import { type Openssl, stableCopy } from './openssl.js';
import { TlsChannel } from './secure-channel.js';
import { TICKET_KEY_MS } from './ticket-keys.js';
import type { SessionTickets } from './tickets.js';

// <openssl/ssl.h>, <openssl/tls1.h>
const SSL_CTRL_SET_TLSEXT_SERVERNAME_CB = 53;
const SSL_SESS_CACHE_OFF = 0;
const SSL_VERIFY_PEER = 1;
const SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2;
const SSL_TLSEXT_ERR_OK = 0;
const SSL_TLSEXT_ERR_ALERT_FATAL = 2;
const OPENSSL_NPN_NEGOTIATED = 1;
const SSL_CLIENT_HELLO_SUCCESS = 1;
const SSL_CLIENT_HELLO_ERROR = 0;

/** The contexts of this thread, by the number that C passes to the callbacks. */
const contexts = new Map<number, ServerContext>();
let callbacks: { hello: bigint; serverName: bigint; protocol: bigint } | undefined;

/** How the connections of a listener are secured, in one thread. Other certificates are another context. */
export class ServerContext {
  /** One for each pair; the first belongs to each new connection, and has a reference of all. */
  readonly #contexts: Context[] = [];
  readonly #certificates: X509Certificate[];
  /** For each certificate, what a session of it is bound to. */
  readonly #identities: Buffer[];
  readonly #protocols: Buffer | undefined;
  #channels = 0;
  #freed = false;

  /** @throws the error of OpenSSL, if a certificate or key is invalid, or they do not match */
  constructor(
    private readonly ssl: Openssl,
    private readonly libc: Libc,
    tls: TlsServer,
    tickets: SessionTickets,
  ) {
    this.#certificates = tls.pairs.map(({ cert }) => new X509Certificate(cert));
    this.#identities = this.#certificates.map(({ raw }) => sha256(raw, tls.clientCa ?? ''));
    this.#protocols = tls.alpn && stableCopy(encodeProtocols(tls.alpn));
    try {
      for (const pair of tls.pairs) {
        const context = new Context(ssl, SSL_SESS_CACHE_OFF);
        this.#contexts.push(context);
        context.present(pair);
        this.#configure(context.address, tls, tickets);
        if (tls.clientCa !== undefined) context.trust(tls.clientCa, true);
      }
    } catch (error) {
      for (const context of this.#contexts) context.free();
      throw error;
    }
    contexts.set(this.#number, this);
  }

  /** Secures an accepted connection. @param fd a non-blocking descriptor; it stays the caller's */
  accept(fd: number): TlsChannel {
    this.#channels++;
    return new TlsChannel(this.ssl, this.libc, fd, {
      context: this.#number,
      server: true,
      released: () => {
        this.#channels--;
        this.#release();
      },
    });
  }

  /** For no new connections. What it has is freed after the last of its channels. */
  free(): void {
    this.#freed = true;
    this.#release();
  }

  /** Everything that differs from OpenSSL's defaults, in each context: SSL_set_SSL_CTX takes some of it over, and not all. */
  #configure(context: number, { clientCa }: TlsServer, tickets: SessionTickets): void {
    const { ssl } = this;
    callbacks ??= registerCallbacks(ssl);
    ssl.SSL_CTX_set_client_hello_cb(context, callbacks.hello, this.#number);
    ssl.SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, callbacks.serverName);
    if (this.#protocols) ssl.SSL_CTX_set_alpn_select_cb(context, callbacks.protocol, this.#number);
    ssl.SSL_CTX_set_tlsext_ticket_key_evp_cb(context, tickets.callback);
    ssl.SSL_CTX_set_timeout(context, TICKET_KEY_MS / 1000);
    if (clientCa !== undefined)
      ssl.SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, null);
  }

  get #number(): number {
    return this.#contexts[0]!.address;
  }

  #release(): void {
    // The address of one that was freed may be that of another by now.
    if (!this.#freed || this.#channels > 0 || contexts.get(this.#number) !== this) return;
    contexts.delete(this.#number);
    for (const context of this.#contexts) context.free();
  }

  /**
   * Selects the first certificate that names the server name of the client. Called before the session is looked at: one of another
   * name (RFC 6066, section 3), or under another certificate, or of a client that another CA verified, is not resumed.
   */
  readHello(connection: number): number {
    const { ssl } = this;
    const name = sentServerName(ssl, connection);
    const found = name ? this.#certificates.findIndex((certificate) => certificate.checkHost(name)) : 0;
    const index = Math.max(0, found);
    if (index > 0) ssl.SSL_set_SSL_CTX(connection, this.#contexts[index]!.address);
    const identity = sha256(this.#identities[index]!, name ?? '');
    ssl.SSL_set_session_id_context(connection, identity, identity.length);
    return SSL_CLIENT_HELLO_SUCCESS;
  }

  /** Selects the first of the server's protocols that the client offers. */
  selectProtocol(out: number, outLength: number, offered: number, length: number): number {
    const { ssl } = this;
    const mine = this.#protocols!;
    const address = ssl.address(mine);
    const found = ssl.SSL_select_next_proto(out, outLength, address, mine.length, offered, length);
    return found === OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
  }
}

/** Callbacks for all contexts of the thread: one that C may still know is never taken back. */
function registerCallbacks(ssl: Openssl): NonNullable<typeof callbacks> {
  const pointer = 'uintptr_t';
  const fatal = SSL_TLSEXT_ERR_ALERT_FATAL;
  return {
    hello: ssl.callback([pointer, pointer, pointer], SSL_CLIENT_HELLO_ERROR, (connection, _alert, number) =>
      contexts.get(number!)!.readHello(connection!),
    ),
    // The name was used: acknowledged, it is also remembered with the session (SSL_get_servername(3ossl)).
    serverName: ssl.callback([pointer, pointer, pointer], fatal, () => SSL_TLSEXT_ERR_OK),
    protocol: ssl.callback(
      [pointer, pointer, pointer, pointer, 'unsigned int', pointer],
      fatal,
      (_connection, out, outLength, offered, length, number) =>
        contexts.get(number!)!.selectProtocol(out!, outLength!, offered!, length!),
    ),
  };
}

function sha256(...parts: (string | Uint8Array)[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
