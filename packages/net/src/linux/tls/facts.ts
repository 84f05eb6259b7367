import type { TlsFacts, TlsSite } from '../../streams.js';
import { bytesOf, type Openssl } from './openssl.js';

const TLSEXT_NAMETYPE_HOST_NAME = 0;
const X509_V_OK = 0;
/** RFC 7301, section 3.1. */
const LONGEST_PROTOCOL = 255;

/**
 * What a finished handshake agreed upon. All have one shape: a spread would give each connection's a hidden class of its own.
 * @param sent the server name that this side sent, if it is the client
 * @param site of a server
 */
export function factsOf(
  ssl: Openssl,
  connection: number,
  sent: { serverName: string | undefined } | undefined,
  site: TlsSite | undefined,
): TlsFacts {
  return {
    version: ssl.SSL_get_version(connection) ?? 'unknown',
    serverName: sent
      ? sent.serverName
      : (ssl.SSL_get_servername(connection, TLSEXT_NAMETYPE_HOST_NAME) ?? undefined),
    alpn: alpnOf(ssl, connection),
    resumed: ssl.SSL_session_reused(connection) === 1,
    peerCertificate: verifiedCertificate(ssl, connection),
    pair: site?.pair,
    clientCa: site?.clientCa,
  };
}

function alpnOf(ssl: Openssl, connection: number): string | undefined {
  const name = bytesOf(ssl, LONGEST_PROTOCOL, (pointer, length) =>
    ssl.SSL_get0_alpn_selected(connection, pointer, length),
  );
  return name?.toString('latin1') || undefined;
}

function verifiedCertificate(ssl: Openssl, connection: number): Buffer | undefined {
  const certificate = ssl.SSL_get0_peer_certificate(connection);
  if (certificate === 0 || ssl.SSL_get_verify_result(connection) !== X509_V_OK) return undefined;
  const der = Buffer.allocUnsafeSlow(ssl.i2d_X509(certificate, null));
  // i2d_X509 advances the pointer that it is given.
  ssl.scratch.writeBigUInt64LE(BigInt(ssl.address(der)));
  ssl.i2d_X509(certificate, ssl.scratch);
  return der;
}
