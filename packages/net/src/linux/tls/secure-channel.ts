import { X509Certificate } from 'node:crypto';
import { isExpired } from '../../certificates.js';
import { truncated } from '../../socket-errors.js';
import type { TlsFacts, TlsSite } from '../../streams.js';
import { ERRNO } from '../errno.js';
import type { Libc } from '../libc.js';
import type { SecureChannel } from '../streams/channel.js';
import { isUnexpectedEnd, isVerification, opensslError, verificationError } from './errors.js';
import { factsOf } from './facts.js';
import type { Openssl } from './openssl.js';
import { RecordSize } from './record-size.js';
import { RecordVectors } from './record-vectors.js';

// <openssl/ssl.h>, <sys/socket.h>
const SSL_ERROR_SSL = 1;
const SSL_ERROR_WANT_READ = 2;
const SSL_ERROR_WANT_WRITE = 3;
const SSL_ERROR_SYSCALL = 5;
const SSL_ERROR_ZERO_RETURN = 6;
const SSL_SENT_SHUTDOWN = 1;
const SSL_RECEIVED_SHUTDOWN = 2;
const SHUT_WR = 1;

const FREED = -ERRNO.EBADF;

/** What OpenSSL reads at once, at least, if it has nothing left: a record (SSL_CTX_set_read_ahead(3ossl), SSL3_RT_MAX_PLAIN_LENGTH). */
const READ_AHEAD = 16 * 1024;

/** Shared by all channels of the thread: what is in it is sent, or not, before a call returns. */
let vectors: RecordVectors | undefined;

export interface TlsChannelOptions {
  /** SSL_CTX * */
  context: number;
  /** Whether this side is the server. */
  server: boolean;
  /** A server's: which pair a connection has, after its handshake, and what its client was verified by. */
  siteOf?(connection: number): TlsSite;
  /** The name that the client sends. */
  serverName?: string | undefined;
  /** The channel is freed. */
  released(connection: number): void;
}

/** TLS on a non-blocking descriptor, by OpenSSL. */
export class TlsChannel implements SecureChannel {
  /** SSL * */
  readonly connection: number;
  error: Error | undefined;
  /** Whether the server has sent a session: with TLS 1.3 it has accepted the client then. */
  hasSession = false;
  begun = 0;
  emptied = false;
  /** The BIO that reads the descriptor, and the bytes that it had read when OpenSSL had nothing left of them. */
  readonly #reader: number;
  #used = 0;
  #facts: TlsFacts | undefined;
  /** -EPROTO or -ECONNRESET, or -EBADF once it is freed: OpenSSL must not be called any more (SSL_get_error(3ossl)). */
  #failed = 0;
  readonly #vectors: RecordVectors;
  readonly #recordSize = new RecordSize();

  /** @throws the error of OpenSSL */
  constructor(
    private readonly ssl: Openssl,
    private readonly libc: Libc,
    private readonly fd: number,
    private readonly options: TlsChannelOptions,
  ) {
    vectors ??= new RecordVectors(ssl);
    this.#vectors = vectors;
    this.#clearErrors();
    this.connection = ssl.SSL_new(options.context);
    if (this.connection === 0 || ssl.SSL_set_fd(this.connection, fd) !== 1) {
      const error = opensslError(ssl);
      this.free();
      throw error;
    }
    this.#reader = ssl.SSL_get_rbio(this.connection);
    if (options.server) ssl.SSL_set_accept_state(this.connection);
    else ssl.SSL_set_connect_state(this.connection);
  }

  get facts(): TlsFacts {
    if (!this.#facts) throw new Error('the TLS handshake is not finished');
    return this.#facts;
  }

  handshake(): number {
    if (this.#failed) return this.#failed;
    const { ssl, connection, options } = this;
    this.#clearErrors();
    const result = ssl.SSL_do_handshake(connection);
    if (result !== 1) return this.#failure(result) || this.#truncated();
    ssl.rethrow();
    const sent = options.server ? undefined : { serverName: options.serverName };
    const facts = factsOf(ssl, connection, sent, options.siteOf?.(connection));
    // A resumed session has what was verified then.
    if (facts.resumed && facts.peerCertificate && isExpired(new X509Certificate(facts.peerCertificate))) {
      this.error = Object.assign(new Error('certificate has expired'), { code: 'CERT_HAS_EXPIRED' });
      this.#failed = -ERRNO.EPROTO;
      return this.#failed;
    }
    this.#facts = facts;
    return 0;
  }

  accepted(): number {
    if (this.#failed) return this.#failed;
    if (this.hasSession || this.options.server || this.facts.version === 'TLSv1.2') return 0;
    const { ssl } = this;
    this.#clearErrors();
    const result = ssl.SSL_peek(this.connection, ssl.scratchAddress, 1);
    const failure = result > 0 ? 0 : this.#failure(result) || this.#truncated();
    return this.hasSession && failure === -ERRNO.EAGAIN ? 0 : failure;
  }

  receive(address: number | bigint, length: number): number {
    if (this.#failed) return this.#failed;
    const { ssl, connection } = this;
    const from = Number(address);
    let received = 0;
    this.emptied = false;
    // A record at a time. The descriptor is read again only if a part of the next record came with this one.
    do {
      this.#clearErrors();
      const result = ssl.SSL_read(connection, from + received, length - received);
      if (result <= 0) {
        const failure = this.#failure(result);
        return received || failure;
      }
      received += result;
      if (ssl.SSL_has_pending(connection) === 0) {
        this.#look();
        return received;
      }
    } while (received < length);
    return received;
  }

  /**
   * OpenSSL has nothing left. If it has read less since it had nothing the last time than it reads at once, its last read was a short one:
   * nothing is left in the descriptor either (epoll(7), questions and answers, 9). That saves a read for each message.
   */
  #look(): void {
    const read = this.ssl.BIO_number_read(this.#reader);
    this.emptied = read - this.#used < READ_AHEAD;
    this.#used = read;
  }

  send(address: bigint, count: number): number {
    if (this.#failed) return this.#failed;
    const vectors = this.#vectors;
    vectors.load(address, count);
    this.#recordSize.look();
    let sent = 0;
    while (vectors.next(this.#limit)) {
      const result = this.#write(vectors.address, vectors.length);
      if (result <= 0) return sent || result;
      sent += result;
      vectors.take(result);
    }
    return sent;
  }

  sendOne(address: number, length: number): number {
    if (this.#failed) return this.#failed;
    this.#recordSize.look();
    let sent = 0;
    while (sent < length) {
      const result = this.#write(address + sent, Math.min(this.#limit, length - sent));
      if (result <= 0) return sent || result;
      sent += result;
    }
    return sent;
  }

  finish(): number {
    if (this.#failed) return this.#failed;
    // There is no close_notify before the handshake is finished.
    if (this.#facts) {
      this.#clearErrors();
      const result = this.ssl.SSL_shutdown(this.connection);
      if (result < 0) return this.#failure(result);
    }
    return this.libc.shutdown(this.fd, SHUT_WR) === 0 ? 0 : -this.libc.errno();
  }

  free(): void {
    if (this.#failed === FREED) return;
    this.#failed = FREED;
    const { ssl, connection } = this;
    // A session of a connection that did not end by close_notify would not be resumed (SSL_set_shutdown(3ossl)).
    if (connection !== 0) ssl.SSL_set_shutdown(connection, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    ssl.SSL_free(connection);
    this.options.released(connection);
  }

  /** What was begun must be given again with the same length (SSL_write(3)). */
  get #limit(): number {
    return this.begun || this.#recordSize.limit;
  }

  /** Sends a record. @returns its bytes, or a negative errno */
  #write(address: number, length: number): number {
    this.#clearErrors();
    const result = this.ssl.SSL_write(this.connection, address, length);
    if (result > 0) {
      this.begun = 0;
      this.#recordSize.sent(result);
      return result;
    }
    this.begun = length;
    return this.#failure(result) || -ERRNO.EPIPE;
  }

  /** What a result that is not positive means. @returns 0: the peer has ended by close_notify */
  #failure(result: number): number {
    const { ssl } = this;
    const errno = ssl.errno();
    const kind = ssl.SSL_get_error(this.connection, result);
    ssl.rethrow();
    if (kind === SSL_ERROR_WANT_READ || kind === SSL_ERROR_WANT_WRITE) return -ERRNO.EAGAIN;
    if (kind === SSL_ERROR_ZERO_RETURN) return 0;
    if (kind === SSL_ERROR_SYSCALL && errno !== 0) return -errno;
    if (kind !== SSL_ERROR_SSL || isUnexpectedEnd(ssl)) return this.#truncated();
    const error = opensslError(ssl);
    this.error = isVerification(error) ? verificationError(ssl, this.connection) : error;
    this.#failed = -ERRNO.EPROTO;
    return this.#failed;
  }

  #truncated(): number {
    this.error = truncated();
    this.#failed = -ERRNO.ECONNRESET;
    return this.#failed;
  }

  /** SSL_get_error looks at the queue of the thread, in which an earlier error may be left. */
  #clearErrors(): void {
    if (this.ssl.ERR_peek_error() !== 0) this.ssl.ERR_clear_error();
  }
}
