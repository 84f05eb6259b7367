import { constants, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type TLSSocket, type TlsOptions } from 'node:tls';
import { isExpired } from '../certificates.js';
import type { TlsCredentials, TlsPair, TlsServer, TlsSite } from '../streams.js';
import { TLS12_CIPHERS, TLS13_CIPHERS } from '../tls-ciphers.js';
import { clientCaOf, pairFor } from '../tls-names.js';

/** What holds for clients and servers. Without the option Node renegotiates three times in ten minutes (tls.CLIENT_RENEG_LIMIT). */
const SECURITY = {
  minVersion: 'TLSv1.2',
  ciphers: `${TLS13_CIPHERS}:${TLS12_CIPHERS}`,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
} as const;

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
    context = createSecureContext({ ...SECURITY, ca: [...[ca].flat()], ...pair });
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

/**
 * What `setSecureContext` takes: the certificate for clients without SNI. With TLS 1.2 Node resumes a session under another name without
 * selecting the context of that name: where clients are verified by different CAs, there are no sessions.
 */
export function firstPair(tls: TlsServer) {
  const [first] = tls.pairs;
  const authorities = new Set(tls.pairs.map((pair) => clientCaOf(pair, tls)));
  return {
    ...secureOptions(first!, clientCaOf(first!, tls)),
    ...(authorities.size > 1 && { secureOptions: SECURITY.secureOptions | constants.SSL_OP_NO_TICKET }),
  };
}

/** How clients are verified; the server reads it for each connection (Node: _tls_wrap, tlsConnectionListener). */
export function verification(tls: TlsServer): { requestCert: boolean; rejectUnauthorized: boolean } {
  const needs = tls.pairs.map((pair) => clientCaOf(pair, tls) !== undefined);
  return { requestCert: needs.includes(true), rejectUnauthorized: !needs.includes(false) };
}

/**
 * Options for `tls.createServer`.
 * @param current the certificates at the time of a handshake
 */
export function serverOptions(tls: TlsServer, current: () => TlsServer): TlsOptions {
  return {
    ...verification(tls),
    SNICallback(name, callback) {
      const context = contextFor(name, current());
      callback(context ? null : new Error(`no certificate for ${name}`), context);
    },
    ...(tls.alpn && { ALPNProtocols: [...tls.alpn] }),
    ...firstPair(tls),
  };
}

/**
 * Which pair a connection has whose handshake is finished, and what its client was verified by.
 * @throws if its client may not have it: with `rejectUnauthorized` Node would refuse those of all pairs
 */
export function checkedSite(socket: TLSSocket, tls: TlsServer): TlsSite {
  const { servername: name } = socket as TLSSocket & { servername?: string | false };
  const found = name ? pairFor(tls.pairs, name) : undefined;
  if (found === undefined && tls.strictNames) throw new Error('the client sent no server name');
  const pair = found ?? 0;
  const clientCa = clientCaOf(tls.pairs[pair]!, tls);
  if (clientCa !== undefined && !socket.authorized)
    throw new Error(`client certificate: ${socket.authorizationError}`);
  // A resumed session has what was verified then.
  const certificate = socket.isSessionReused() ? socket.getPeerX509Certificate() : undefined;
  if (clientCa !== undefined && certificate && isExpired(certificate))
    throw new Error('client certificate: CERT_HAS_EXPIRED');
  return { pair, clientCa };
}

function contextFor(name: string, tls: TlsServer): SecureContext | undefined {
  const found = pairFor(tls.pairs, name);
  if (found === undefined && tls.strictNames) return undefined;
  const pair = tls.pairs[found ?? 0]!;
  return identityOf(pair, clientCaOf(pair, tls)).context;
}

function secureOptions({ cert, key }: TlsPair, clientCa: string | undefined) {
  return { ...SECURITY, cert, key, ...(clientCa !== undefined && { ca: clientCa }) } as const;
}
