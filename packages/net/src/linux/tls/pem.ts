import { opensslError } from './errors.js';
import { type Openssl, stableCopy } from './openssl.js';

/** `no start line` (<openssl/pemerr.h>): there is no further one. */
const PEM_END = 'ERR_OSSL_PEM_NO_START_LINE';
/** A key with a passphrase is refused. Without this text OpenSSL would ask for one on the terminal (PEM_def_callback). */
const NO_PASSPHRASE = '';

/**
 * Calls with each certificate (X509 *) of a PEM text in turn, and frees it then.
 * @throws the error of OpenSSL; if there is no certificate
 */
export function eachCertificate(
  ssl: Openssl,
  pem: string | Uint8Array,
  use: (certificate: number, index: number) => void,
): void {
  withBio(ssl, pem, (bio) => {
    for (let index = 0; ; index++) {
      const certificate = ssl.PEM_read_bio_X509(bio, null, null, NO_PASSPHRASE);
      if (certificate === 0) {
        const error = opensslError(ssl);
        if (index > 0 && error.code === PEM_END) return;
        throw error;
      }
      try {
        use(certificate, index);
      } finally {
        ssl.X509_free(certificate);
      }
    }
  });
}

/** Calls with the private key (EVP_PKEY *) of a PEM text, and frees it then. @throws the error of OpenSSL */
export function withKey(ssl: Openssl, pem: string | Uint8Array, use: (key: number) => void): void {
  withBio(ssl, pem, (bio) => {
    const key = ssl.PEM_read_bio_PrivateKey(bio, null, null, NO_PASSPHRASE);
    if (key === 0) throw opensslError(ssl);
    try {
      use(key);
    } finally {
      ssl.EVP_PKEY_free(key);
    }
  });
}

function withBio(ssl: Openssl, pem: string | Uint8Array, use: (bio: number) => void): void {
  ssl.ERR_clear_error();
  const memory = stableCopy(Buffer.from(pem as string));
  const bio = ssl.BIO_new_mem_buf(ssl.address(memory), memory.length);
  try {
    use(bio);
  } finally {
    ssl.BIO_free(bio);
    // It may be a private key. This also keeps it referenced until here.
    memory.fill(0);
  }
}
