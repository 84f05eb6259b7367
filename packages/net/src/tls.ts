import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { failure, usage, type ValuesOf } from 'mproxy-base';
import { readCertificates } from './certificates.js';
import { clientContext, identityOf } from './node/tls-contexts.js';
import type { TlsCredentials, TlsPair, TlsServer } from './streams.js';
import { type TLS_CLIENT, TLS_NAMES, type TLS_SERVER } from './tls-flags.js';

/** The values of the flags of TLS listeners, and of TLS connections. */
export type TlsServerOptions = ValuesOf<{ tls: typeof TLS_SERVER }>;
export type TlsClientOptions = ValuesOf<{ tls: typeof TLS_CLIENT }>;

/** CA bundles of Debian and Alpine, Fedora and RHEL, openSUSE, FreeBSD and macOS. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** The certificates of all TLS listeners of a command. */
export class TlsIdentities {
  /** Read and checked together, and replaced as a whole. */
  tls: TlsServer;

  /** @param options certificates and keys that pair @throws MPROXY_TLS if one is invalid */
  constructor(private readonly options: TlsServerOptions) {
    this.tls = this.#read();
  }

  /** Reads all files again. Open connections are not affected. @throws MPROXY_TLS; then nothing changes */
  reload(): void {
    this.tls = this.#read();
  }

  /** What is presented now, with the end of its validity in milliseconds since 1970. */
  certificates(): { file: string; notAfter: number }[] {
    return this.tls.pairs.map((pair, i) => ({
      file: this.options.tlsCert[i]!,
      notAfter: Date.parse(identityOf(pair, this.tls.clientCa).certificate.validTo),
    }));
  }

  #read(): TlsServer {
    const { tlsCert, tlsKey, tlsClientCa } = this.options;
    const clientCa = tlsClientCa === undefined ? undefined : readAuthorities(tlsClientCa);
    const pairs = tlsCert.map((file, i) =>
      withPair(file, tlsKey[i]!, (pair) => {
        identityOf(pair, clientCa);
        return pair;
      }),
    );
    return { pairs, ...(clientCa !== undefined && { clientCa }) };
  }
}

/**
 * What a TLS client trusts and presents.
 * @throws MPROXY_TLS if a file is invalid, MPROXY_USAGE if only one of certificate and key is given
 */
export function readCredentials(options: TlsClientOptions): TlsCredentials {
  const { tlsCa, tlsCert, tlsKey } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    const { tlsCert: cert, tlsKey: key } = TLS_NAMES;
    throw usage(tlsCert ? key : cert, 'missing', `${cert} and ${key} go together`);
  }
  const ca = tlsCa === undefined ? systemRoots() : readAuthorities(tlsCa);
  if (tlsCert === undefined || tlsKey === undefined) return { ca };
  return withPair(tlsCert, tlsKey, (pair) => {
    const credentials = { ca, pair };
    clientContext(credentials);
    return credentials;
  });
}

/** Reads a certificate and its key. @param use throws if the pair cannot be used @throws MPROXY_TLS, naming the files */
function withPair<T>(certFile: string, keyFile: string, use: (pair: TlsPair) => T): T {
  try {
    return use({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  } catch (error) {
    throw failure('MPROXY_TLS', 'certificate', `${certFile} with ${keyFile}`, error);
  }
}

/**
 * CA certificates (PEM). A context accepts a file without any, and then trusts no certificate.
 * @throws MPROXY_TLS
 */
function readAuthorities(file: string): string {
  try {
    const pem = readFileSync(file, 'latin1');
    readCertificates(pem);
    return pem;
  } catch (error) {
    throw failure('MPROXY_TLS', 'certificate', file, error);
  }
}

/** The CA certificates of the system, if a bundle is found, and of Node. */
function systemRoots(): string[] {
  const named = process.env.SSL_CERT_FILE;
  if (named) return [...rootCertificates, readAuthorities(named)];
  for (const bundle of BUNDLES) {
    try {
      return [...rootCertificates, readFileSync(bundle, 'latin1')];
    } catch {
      // Not the path of this distribution.
    }
  }
  return [...rootCertificates];
}
