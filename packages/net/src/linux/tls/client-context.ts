import { isIP } from 'node:net';
import type { TlsClient, TlsCredentials } from '../../streams.js';
import type { Libc } from '../libc.js';
import { encodeProtocols } from './alpn.js';
import { Context } from './context.js';
import { opensslError } from './errors.js';
import type { Openssl } from './openssl.js';
import { TlsChannel } from './secure-channel.js';
import { Sessions } from './sessions.js';

// <openssl/ssl.h>, <openssl/x509v3.h>
const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
const SSL_VERIFY_NONE = 0;
const SSL_VERIFY_PEER = 1;
/** SSL_SESS_CACHE_CLIENT with SSL_SESS_CACHE_NO_INTERNAL: sessions are given to the callback alone. */
const CLIENT_CACHE = 0x301;
const X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS = 4;

/** Takes a session (SSL_SESSION *) with its reference. */
type SessionTaker = (session: number) => void;

/** Open client connections of this thread, by their SSL *. */
const takers = new Map<number, SessionTaker>();
let newSession: bigint | undefined;

/** What the connections of a client trust and present, and the sessions that they can resume, in one thread. */
export class ClientContext {
  readonly #context: Context;
  readonly #sessions: Sessions;

  /** @throws the error of OpenSSL, if a certificate or key is invalid, or they do not match */
  constructor(
    private readonly ssl: Openssl,
    private readonly libc: Libc,
    { ca, pair }: TlsCredentials,
  ) {
    this.#sessions = new Sessions(ssl);
    const context = new Context(ssl, CLIENT_CACHE);
    this.#context = context;
    newSession ??= registerNewSession(ssl);
    try {
      ssl.SSL_CTX_sess_set_new_cb(context.address, newSession);
      for (const pem of [ca].flat()) context.trust(pem, false);
      if (pair) context.present(pair);
    } catch (error) {
      context.free();
      throw error;
    }
  }

  /**
   * Secures a connection to a server.
   * @param fd a non-blocking descriptor, connected; it stays the caller's
   * @param server its address; a session of this server and this name is resumed
   * @throws if a protocol (ALPN) or the name cannot be sent
   */
  connect(fd: number, tls: TlsClient, server: string): TlsChannel {
    const name = tls.serverName.replace(/\.$/, '');
    const sni = isIP(name) ? undefined : name;
    const channel = new TlsChannel(this.ssl, this.libc, fd, {
      context: this.#context.address,
      server: false,
      serverName: sni,
      released: (connection) => takers.delete(connection),
    });
    try {
      this.#configure(channel.connection, tls, name, sni);
    } catch (error) {
      channel.free();
      throw error;
    }
    const key = JSON.stringify([server, name, tls.insecure, tls.alpn]);
    this.#sessions.offer(key, channel.connection);
    takers.set(channel.connection, (session) => {
      this.#sessions.set(key, session);
      channel.hasSession = true;
    });
    return channel;
  }

  /** For no new connections. */
  free(): void {
    this.finalizer();
  }

  /** {@link free} for a context that is not referenced any more: it refers to the parts alone. */
  get finalizer(): () => void {
    const sessions = this.#sessions;
    const context = this.#context;
    return () => {
      sessions.free();
      context.free();
    };
  }

  #configure(connection: number, { insecure, alpn }: TlsClient, name: string, sni: string | undefined): void {
    const { ssl } = this;
    const check = (succeeds: boolean) => {
      if (!succeeds) throw opensslError(ssl);
    };
    ssl.ERR_clear_error();
    ssl.SSL_set_verify(connection, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, null);
    const parameters = ssl.SSL_get0_param(connection);
    ssl.X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (sni === undefined) {
      const [ip] = name.split('%');
      check(ssl.X509_VERIFY_PARAM_set1_ip_asc(parameters, ip!) === 1);
    } else {
      // To OpenSSL a name that begins with a dot is that of all below it, and a zero byte ends it (X509_check_host(3)).
      if (sni.startsWith('.') || sni.includes('\0'))
        throw new Error(`${JSON.stringify(name)} is not the name of a host`);
      check(ssl.X509_VERIFY_PARAM_set1_host(parameters, sni, 0) === 1);
      check(ssl.SSL_set_host_name(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, sni) === 1);
    }
    if (!alpn) return;
    const protocols = encodeProtocols(alpn);
    check(ssl.SSL_set_alpn_protos(connection, protocols, protocols.length) === 0);
  }
}

/** @returns a callback for all contexts of the thread; its result says whether the session's reference was taken over */
function registerNewSession(ssl: Openssl): bigint {
  return ssl.callback(['uintptr_t', 'uintptr_t'], 0, (connection, session) => {
    const take = takers.get(connection!);
    take?.(session!);
    return take ? 1 : 0;
  });
}
