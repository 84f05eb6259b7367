import { createHash, X509Certificate } from 'node:crypto';
import type { TlsServer, TlsSite } from '../../streams.js';
import { clientCaOf, pairFor } from '../../tls-names.js';
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
const SSL_VERIFY_NONE = 0;
/** SSL_VERIFY_PEER with SSL_VERIFY_FAIL_IF_NO_PEER_CERT. */
const SSL_VERIFY_REQUIRED = 3;
const SSL_AD_UNRECOGNIZED_NAME = 112;
const SSL_TLSEXT_ERR_OK = 0;
const SSL_TLSEXT_ERR_ALERT_FATAL = 2;
const OPENSSL_NPN_NEGOTIATED = 1;
const SSL_CLIENT_HELLO_SUCCESS = 1;
const SSL_CLIENT_HELLO_ERROR = 0;

/** Names of clients for which a hash is kept. */
const REMEMBERED = 1000;

/** The contexts of this thread, by the number that C passes to the callbacks. */
const contexts = new Map<number, ServerContext>();
let callbacks: { hello: bigint; serverName: bigint; protocol: bigint } | undefined;

/** How the connections of a listener are secured, in one thread. Other certificates are another context. */
export class ServerContext {
  /** One for each pair; the first belongs to each new connection, and has a reference of all. */
  readonly #contexts: Context[] = [];
  /** For each pair, whether clients need a certificate, and what a session is bound to. */
  readonly #sites: { verify: number; identity: Buffer }[];
  readonly #protocols: Buffer | undefined;
  /** What sessions of recent names are bound to, by pair and name. */
  readonly #bound = new Map<string, Buffer>();
  #channels = 0;
  #freed = false;

  /** @throws the error of OpenSSL, if a certificate or key is invalid, or they do not match */
  constructor(
    private readonly ssl: Openssl,
    private readonly libc: Libc,
    private readonly tls: TlsServer,
    tickets: SessionTickets,
  ) {
    this.#sites = tls.pairs.map((pair) => {
      const clientCa = clientCaOf(pair, tls);
      return {
        verify: clientCa === undefined ? SSL_VERIFY_NONE : SSL_VERIFY_REQUIRED,
        identity: sha256(new X509Certificate(pair.cert).raw, clientCa ?? ''),
      };
    });
    this.#protocols = tls.alpn && stableCopy(encodeProtocols(tls.alpn));
    try {
      for (const pair of tls.pairs) {
        const context = new Context(ssl, SSL_SESS_CACHE_OFF);
        this.#contexts.push(context);
        context.present(pair);
        this.#configure(context.address, tickets);
        const clientCa = clientCaOf(pair, tls);
        if (clientCa !== undefined) context.trust(clientCa, true);
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
      siteOf: (connection) => this.#siteOf(connection),
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
  #configure(context: number, tickets: SessionTickets): void {
    const { ssl } = this;
    callbacks ??= registerCallbacks(ssl);
    ssl.SSL_CTX_set_client_hello_cb(context, callbacks.hello, this.#number);
    ssl.SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, callbacks.serverName);
    if (this.#protocols) ssl.SSL_CTX_set_alpn_select_cb(context, callbacks.protocol, this.#number);
    ssl.SSL_CTX_set_tlsext_ticket_key_evp_cb(context, tickets.callback);
    ssl.SSL_CTX_set_timeout(context, TICKET_KEY_MS / 1000);
    // By default two, each in a packet of its own. A client gets one with each connection, also with those that resume.
    ssl.SSL_CTX_set_num_tickets(context, 1);
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
   * Selects the pair that has the server name of the client. Called before the session is looked at: one of another name (RFC 6066,
   * section 3), or under another certificate, or of a client that another CA verified, is not resumed.
   * @param alert the address of the alert to be sent
   */
  readHello(connection: number, alert: number): number {
    const { ssl, tls } = this;
    const name = sentServerName(ssl, connection);
    const found = name === undefined ? undefined : pairFor(tls.pairs, name);
    if (found === undefined && tls.strictNames) {
      ssl.scratch.writeInt32LE(SSL_AD_UNRECOGNIZED_NAME);
      ssl.memcpy(alert, ssl.scratchAddress, 4);
      return SSL_CLIENT_HELLO_ERROR;
    }
    const index = found ?? 0;
    const { verify } = this.#sites[index]!;
    if (index > 0) ssl.SSL_set_SSL_CTX(connection, this.#contexts[index]!.address);
    // It was taken from the context that the connection began with.
    ssl.SSL_set_verify(connection, verify, null);
    const bound = this.#boundTo(index, name ?? '');
    ssl.SSL_set_session_id_context(connection, bound, bound.length);
    return SSL_CLIENT_HELLO_SUCCESS;
  }

  /** What a session of a name under a pair is bound to. Clients may send any name, so that only so many are remembered. */
  #boundTo(index: number, name: string): Buffer {
    const key = `${index} ${name}`;
    const known = this.#bound.get(key);
    if (known) return known;
    if (this.#bound.size === REMEMBERED) this.#bound.clear();
    const bound = sha256(this.#sites[index]!.identity, name);
    this.#bound.set(key, bound);
    return bound;
  }

  #siteOf(connection: number): TlsSite {
    const address = this.ssl.SSL_get_SSL_CTX(connection);
    const pair = this.#contexts.findIndex((context) => context.address === address);
    return { pair, clientCa: clientCaOf(this.tls.pairs[pair]!, this.tls) };
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
    hello: ssl.callback([pointer, pointer, pointer], SSL_CLIENT_HELLO_ERROR, (connection, alert, number) =>
      contexts.get(number!)!.readHello(connection!, alert!),
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
