import { getSystemErrorMap } from 'node:util';
import { throwInternal } from './internal.js';

/**
 * Every error that mproxy throws or rejects with has one of these stable codes. The number is the exit status
 * of a command that ends with it: 2 for an invalid command line, 1 for a failure at run time.
 */
export const ERRORS = {
  /** An argument that cannot be read, is missing, or contradicts another. */
  MPROXY_USAGE: 2,
  /** An output that feeds an input of the same command. */
  MPROXY_LOOP: 2,
  /** A name that does not resolve. */
  MPROXY_RESOLVE: 1,
  /** A socket that cannot be bound: port in use, privileged port, or not an address of this host. */
  MPROXY_LISTEN: 1,
  /** An interface that does not exist, or that cannot carry the group. */
  MPROXY_INTERFACE: 1,
  /** An address that must be a group and is not, or a group that the engine cannot isolate from others. */
  MPROXY_GROUP: 1,
  /** A file that cannot be opened or read. */
  MPROXY_FILE: 1,
  /** A certificate or key that cannot be read or used. */
  MPROXY_TLS: 1,
  /** An engine that does not load here. */
  MPROXY_ENGINE: 1,
  /** Memory for `frame=mold` that the system does not grant, or a processor without vectors. */
  MPROXY_MEMORY: 1,
  /** Data that could not be written. */
  MPROXY_WRITE: 1,
  /** Datagrams that the kernel did not accept. */
  MPROXY_SEND: 1,
  /** Lost messages of `frame=mold`, with `once`. */
  MPROXY_LOST: 1,
  /** An upstream that failed, with `once`. */
  MPROXY_UPSTREAM: 1,
} as const;

export type ErrorCode = keyof typeof ERRORS;

export class MproxyError extends Error {
  override readonly name = 'MproxyError';
  /** Whether a notice already reported it. */
  reported = false;
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  get exitStatus(): 1 | 2 {
    return ERRORS[this.code];
  }
}

/**
 * An error in the form `what: which address or file: why; what to do`.
 * @param which empty: the flag as such is wrong, or has an empty value
 * @throws `why` itself, if it is an internal error
 */
export function failure(
  code: ErrorCode,
  what: string,
  which: string,
  why: unknown,
  advice = '',
): MproxyError {
  const cause = why instanceof Error ? { cause: why } : undefined;
  const place = which === '' ? what : `${what}: ${which}`;
  return new MproxyError(code, `${place}: ${reason(why)}${advice && `; ${advice}`}`, cause);
}

export function usage(what: string, which: string, why: string, advice = ''): MproxyError {
  return failure('MPROXY_USAGE', what, which, why, advice);
}

/** Texts for error codes; for others the system's text is used. */
const TEXTS: Record<string, string> = {
  EACCES: 'permission denied',
  EADDRINUSE: 'port already in use',
  EADDRNOTAVAIL: 'not an address of this host',
  EAFNOSUPPORT: 'address family not supported',
  EAI_AGAIN: 'the name server does not answer',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EDQUOT: 'disk quota exceeded',
  EFBIG: 'file too large',
  EHOSTUNREACH: 'host unreachable',
  EIO: 'input/output error',
  EISDIR: 'it is a directory',
  EMFILE: 'too many open files',
  EMSGSIZE: 'datagram too big',
  ENETDOWN: 'network is down',
  ENETUNREACH: 'network unreachable',
  ENOBUFS: 'no buffer space',
  ENODEV: 'no such interface',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on the device',
  ENOTDIR: 'not a directory',
  ENOTFOUND: 'the name does not resolve',
  EPERM: 'not permitted',
  EPIPE: 'closed by the other side',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed certificate; trust it with --tls-ca FILE',
  EROFS: 'read-only file system',
  SELF_SIGNED_CERT_IN_CHAIN: 'its authority is not known; trust it with --tls-ca FILE',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its authority is not known; trust it with --tls-ca FILE',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its authority is not known; trust it with --tls-ca FILE',
  ETIMEDOUT: 'timed out',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; compare the clocks',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for other names; give its own with --tls-servername NAME',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it speaks no version of TLS from 1.2 on',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not know the authority of the certificate that it was shown',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'it refuses the certificate that it was shown',
  // As OpenSSL 3.5 names it, in Node 24.
  'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE': 'it refuses the certificate that it was shown',
  ERR_SSL_TLSV1_UNRECOGNIZED_NAME: 'it has no certificate for the name; see --tls-servername',
};

/** Clearer texts for reasons that OpenSSL gives. */
const TLS_TEXTS: Record<string, string> = {
  'peer did not return a certificate': 'it showed no certificate, and --tls-client-ca wants one',
  'tlsv13 alert certificate required': 'it wants a certificate: --tls-cert and --tls-key',
  'wrong version number': 'it does not speak TLS',
  'http request': 'it does not speak TLS',
  unsupported: 'no private key in PEM',
  'no start line': 'no certificate in PEM',
  'key values mismatch': 'the key is not that of the certificate',
};

/** What OpenSSL finds wrong inside a certificate or key, by the part of it that does: base64, lengths, types. */
const DAMAGED = /^ERR_OSSL_(ASN1_|PEM_BAD_|EVP_DECODE_ERROR$)/;

/**
 * The reason of a failure, for users.
 * @throws the error itself if it is internal, which is never reported as the failure of something else
 */
export function reason(why: unknown): string {
  if (!(why instanceof Error)) return String(why);
  throwInternal(why);
  const { code = '', reason: tls } = why as NodeJS.ErrnoException & { reason?: unknown };
  if (Object.hasOwn(TEXTS, code)) return TEXTS[code]!;
  // OpenSSL's reason, without its file names and line numbers (Node: errors, OpenSSL errors).
  if (code.startsWith('ERR_') && typeof tls === 'string')
    return DAMAGED.test(code) ? `a certificate or key in it is damaged: ${tls}` : `${TLS_TEXTS[tls] ?? tls}`;
  const described = systemDescription(code);
  return described
    ? `${described} (${code})`
    : why.message.replace(/\s+/g, ' ').trim() || code || 'unknown error';
}

/** The system's text of an error: `not enough memory` for ENOMEM; undefined if it is not a system error. */
function systemDescription(code: string): string | undefined {
  for (const [name, description] of getSystemErrorMap().values()) if (name === code) return description;
  return undefined;
}
