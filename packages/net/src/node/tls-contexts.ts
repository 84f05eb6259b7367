import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type TlsOptions } from 'node:tls';
import { HANDSHAKE_MS } from '../stream-defaults.js';
import type { TlsCredentials, TlsPair, TlsServer } from '../streams.js';

const MIN_VERSION = 'TLSv1.2';

interface Identity {
  certificate: X509Certificate;
  context: SecureContext;
}

const clients = new WeakMap<TlsCredentials, SecureContext>();
const identities = new WeakMap<TlsPair, Identity & { clientCa: string | undefined }>();

/** The context of a client, made once. @throws the error of OpenSSL, if a certificate or key is invalid */
export function clientContext(credentials: TlsCredentials): SecureContext {
  const { ca, pair } = credentials;
  let context = clients.get(credentials);
  if (!context) {
    context = createSecureContext({ minVersion: MIN_VERSION, ca: [...[ca].flat()], ...pair });
    clients.set(credentials, context);
  }
  return context;
}

/**
 * A certificate of a listener with its context, made once.
 * @throws the error of OpenSSL, if certificate or key is invalid, or they do not match
 */
export function identityOf(pair: TlsPair, clientCa: string | undefined): Identity {
  const known = identities.get(pair);
  if (known && known.clientCa === clientCa) return known;
  const certificate = new X509Certificate(pair.cert);
  const identity = { certificate, clientCa, context: createSecureContext(secureOptions(pair, clientCa)) };
  identities.set(pair, identity);
  return identity;
}

/** What `setSecureContext` takes: the certificate for clients without SNI. */
export function firstPair({ pairs, clientCa }: TlsServer) {
  return secureOptions(pairs[0]!, clientCa);
}

/**
 * Options for `tls.createServer`.
 * @param current the certificates at the time of a handshake
 */
export function serverOptions(tls: TlsServer, current: () => TlsServer): TlsOptions {
  return {
    handshakeTimeout: HANDSHAKE_MS,
    requestCert: tls.clientCa !== undefined,
    rejectUnauthorized: tls.clientCa !== undefined,
    SNICallback: (name, callback) => callback(null, contextFor(name, current())),
    ...(tls.alpn && { ALPNProtocols: [...tls.alpn] }),
    ...firstPair(tls),
  };
}

function contextFor(name: string, tls: TlsServer): SecureContext {
  const all = tls.pairs.map((pair) => identityOf(pair, tls.clientCa));
  return (all.find(({ certificate }) => certificate.checkHost(name)) ?? all[0]!).context;
}

function secureOptions({ cert, key }: TlsPair, clientCa: string | undefined) {
  return { minVersion: MIN_VERSION, cert, key, ...(clientCa !== undefined && { ca: clientCa }) } as const;
}
