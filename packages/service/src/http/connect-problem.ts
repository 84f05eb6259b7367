/** Errors of connecting that say nothing of the upstream: this process or this machine has no more descriptors or memory (socket(2)). */
const EXHAUSTED = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/** What node:tls and OpenSSL call the reasons why a certificate is not verified (<openssl/x509_vfy.h>). */
const VERIFICATION =
  /^(?:CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_|PATH_LENGTH_|HOSTNAME_|ERR_TLS_CERT_|UNSPECIFIED$)/;

export function isExhausted(code: string): boolean {
  return EXHAUSTED.has(code);
}

/** Whether TLS failed, not the connection below it. */
function isTlsError(code: string): boolean {
  return VERIFICATION.test(code) || code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_');
}

/** Why an upstream is not connected, on one line without internals, for the client. @param code of the error */
export function connectProblem(code: string): string {
  if (code === 'ETIMEDOUT') return 'the upstream could not be connected to in time';
  if (code === 'ECONNREFUSED') return 'the upstream refused the connection';
  if (VERIFICATION.test(code)) return 'the certificate of the upstream is not valid';
  if (isTlsError(code)) return 'the TLS handshake with the upstream failed';
  return code.startsWith('EAI_') || code === 'ENOTFOUND'
    ? 'the name of the upstream does not resolve'
    : 'the upstream is unreachable';
}
