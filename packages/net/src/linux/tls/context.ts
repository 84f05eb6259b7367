import type { TlsPair } from '../../streams.js';
import { TLS12_CIPHERS, TLS13_CIPHERS } from '../../tls-ciphers.js';
import { opensslError } from './errors.js';
import type { Openssl } from './openssl.js';
import { eachCertificate, withKey } from './pem.js';

// <openssl/ssl.h>
const SSL_CTRL_MODE = 33;
const SSL_CTRL_SET_READ_AHEAD = 41;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_CTRL_CHAIN_CERT = 89;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const SSL_MODE_ENABLE_PARTIAL_WRITE = 1;
const SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2;
const SSL_MODE_RELEASE_BUFFERS = 0x10;
const SSL_OP_CIPHER_SERVER_PREFERENCE = 1 << 22;
const SSL_OP_NO_RENEGOTIATION = 1 << 30;
const TLS1_2_VERSION = 0x303;

const MODES = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS;
const OPTIONS = SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION;

/**
 * An SSL_CTX for TLS 1.2 and 1.3. OpenSSL counts its references: connections keep what they need of it.
 */
export class Context {
  readonly address: number;

  /** @param cacheMode SSL_SESS_CACHE_* @throws the error of OpenSSL */
  constructor(
    private readonly ssl: Openssl,
    cacheMode: number,
  ) {
    ssl.ERR_clear_error();
    this.address = ssl.SSL_CTX_new(ssl.TLS_method());
    if (this.address === 0) throw opensslError(ssl);
    ssl.SSL_CTX_ctrl(this.address, SSL_CTRL_MODE, MODES, 0);
    ssl.SSL_CTX_ctrl(this.address, SSL_CTRL_SET_READ_AHEAD, 1, 0);
    ssl.SSL_CTX_ctrl(this.address, SSL_CTRL_SET_SESS_CACHE_MODE, cacheMode, 0);
    ssl.SSL_CTX_ctrl(this.address, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, 0);
    ssl.SSL_CTX_set_options(this.address, OPTIONS);
    this.#check(ssl.SSL_CTX_set_ciphersuites(this.address, TLS13_CIPHERS));
    this.#check(ssl.SSL_CTX_set_cipher_list(this.address, TLS12_CIPHERS));
  }

  /** Presents a certificate with its chain. @throws the error of OpenSSL */
  present({ cert, key }: TlsPair): void {
    const { ssl, address } = this;
    eachCertificate(ssl, cert, (certificate, index) => {
      if (index === 0) this.#check(ssl.SSL_CTX_use_certificate(address, certificate));
      // With 1, it takes a reference of its own (SSL_CTX_add1_chain_cert).
      else this.#check(ssl.SSL_CTX_ctrl(address, SSL_CTRL_CHAIN_CERT, 1, certificate));
    });
    withKey(ssl, key, (key) => this.#check(ssl.SSL_CTX_use_PrivateKey(address, key)));
  }

  /**
   * Trusts the CA certificates of a PEM text.
   * @param named whether their names are sent to clients (RFC 8446, section 4.2.4)
   * @throws the error of OpenSSL
   */
  trust(pem: string, named: boolean): void {
    const { ssl, address } = this;
    const store = ssl.SSL_CTX_get_cert_store(address);
    eachCertificate(ssl, pem, (certificate) => {
      this.#check(ssl.X509_STORE_add_cert(store, certificate));
      if (named) this.#check(ssl.SSL_CTX_add_client_CA(address, certificate));
    });
  }

  free(): void {
    this.ssl.SSL_CTX_free(this.address);
  }

  #check(result: number): void {
    if (result !== 1) throw opensslError(this.ssl);
  }
}
