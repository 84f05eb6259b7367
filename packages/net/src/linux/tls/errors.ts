import type { Openssl } from './openssl.js';

/** Names of libraries in the codes of Node's errors, by number (<openssl/err.h>). */
const LIBRARIES: Record<number, string> = {
  6: 'OSSL_EVP_',
  9: 'OSSL_PEM_',
  11: 'OSSL_X509_',
  13: 'OSSL_ASN1_',
  20: 'SSL_',
};

/** Codes of verification errors as in node:tls (<openssl/x509_vfy.h>). */
const VERIFICATION: Record<number, string> = {
  2: 'UNABLE_TO_GET_ISSUER_CERT',
  7: 'CERT_SIGNATURE_FAILURE',
  9: 'CERT_NOT_YET_VALID',
  10: 'CERT_HAS_EXPIRED',
  18: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  19: 'SELF_SIGNED_CERT_IN_CHAIN',
  20: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  21: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  22: 'CERT_CHAIN_TOO_LONG',
  26: 'INVALID_PURPOSE',
  62: 'ERR_TLS_CERT_ALTNAME_INVALID',
  64: 'ERR_TLS_CERT_ALTNAME_INVALID',
  79: 'INVALID_CA',
};
const ISSUER_UNKNOWN = 20;
const LEAF_UNVERIFIED = 21;

/** An error of OpenSSL, with code, library and reason as Node's errors have them. */
export type OpensslError = Error & { code: string; library: string; reason: string };

const SSL = 20;
/** SSL_R_UNEXPECTED_EOF_WHILE_READING (<openssl/sslerr.h>) */
const UNEXPECTED_EOF = 294;

/** ERR_GET_LIB */
const libraryOf = (number: number): number => (number >>> 23) & 0xff;

/** The first error of this thread's queue, or what it means to TLS: of a record that was changed, a cipher tells first. It clears the queue. */
export function opensslError(ssl: Openssl): OpensslError {
  const first = ssl.ERR_peek_error();
  const last = ssl.ERR_peek_last_error();
  const number = libraryOf(first) !== SSL && libraryOf(last) === SSL ? last : first;
  const library = ssl.ERR_lib_error_string(number) ?? 'unknown library';
  const reason = ssl.ERR_reason_error_string(number) ?? 'unknown reason';
  ssl.ERR_clear_error();
  const prefix = LIBRARIES[libraryOf(number)] ?? 'OSSL_';
  const code = `ERR_${prefix}${reason.replaceAll(' ', '_').toUpperCase()}`;
  const hex = number.toString(16).toUpperCase().padStart(8, '0');
  return Object.assign(new Error(`error:${hex}:${library}::${reason}`), { code, library, reason });
}

/** Whether the first error of this thread's queue is that the peer ended the connection without close_notify. It is an everyday event. */
export function isUnexpectedEnd(ssl: Openssl): boolean {
  const number = ssl.ERR_peek_error();
  return libraryOf(number) === SSL && (number & 0x7f_ffff) === UNEXPECTED_EOF;
}

/** Whether a handshake failed because the certificate of the peer is not verified. */
export function isVerification(error: OpensslError): boolean {
  return error.code === 'ERR_SSL_CERTIFICATE_VERIFY_FAILED';
}

/** Why it is not, as node:tls names it: of the lack of the issuer of a lone certificate, that names the consequence. */
export function verificationError(ssl: Openssl, connection: number): Error {
  const result = ssl.SSL_get_verify_result(connection);
  const alone = ssl.OPENSSL_sk_num(ssl.SSL_get0_verified_chain(connection)) === 1;
  const number = result === ISSUER_UNKNOWN && alone ? LEAF_UNVERIFIED : result;
  const text = ssl.X509_verify_cert_error_string(number) ?? `verification error ${number}`;
  return Object.assign(new Error(text), { code: VERIFICATION[number] ?? 'UNSPECIFIED' });
}
