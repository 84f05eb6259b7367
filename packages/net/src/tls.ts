import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext, type TlsOptions } from 'node:tls';
import { failure, usage, type ValuesOf } from 'mproxy-base';
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

/** A certificate with its key and the CA certificates for clients, as PEM and as a context. */
interface Identity {
  certificate: X509Certificate;
  pem: { cert: Buffer; key: Buffer; ca?: string };
  context: SecureContext;
}

/** The certificates of all TLS listeners of a command, selected by server name (SNI). */
export class TlsIdentities {
  readonly #certs: string[];
  readonly #keys: string[];
  /** Read and checked together, and replaced as a whole. */
  #identities: readonly Identity[];

  /** @param options certificates and keys that pair @throws MPROXY_TLS if one is invalid */
  constructor(private readonly options: TlsServerOptions) {
    this.#certs = options.tlsCert;
    this.#keys = options.tlsKey;
    this.#identities = this.#read();
  }

  /** Reads all files again. Open connections are not affected. @throws MPROXY_TLS; then nothing changes */
  reload(): void {
    this.#identities = this.#read();
  }

  /** Options for `tls.createServer`. */
  get serverOptions(): TlsOptions {
    return {
      minVersion: 'TLSv1.2',
      handshakeTimeout: 10_000,
      requestCert: this.options.tlsClientCa !== undefined,
      rejectUnauthorized: this.options.tlsClientCa !== undefined,
      SNICallback: (name, callback) => callback(null, this.#choose(name)),
      // For clients without SNI; `setSecureContext` updates it on reload.
      ...this.firstPair,
    };
  }

  /** The first pair, for `setSecureContext`. */
  get firstPair() {
    return this.#identities[0]!.pem;
  }

  #choose(name: string): SecureContext {
    return (this.#identities.find(({ certificate }) => certificate.checkHost(name)) ?? this.#identities[0]!)
      .context;
  }

  #read(): Identity[] {
    const { tlsClientCa } = this.options;
    const authorities = tlsClientCa === undefined ? {} : { ca: readAuthorities(tlsClientCa) };
    return this.#certs.map((file, i) => {
      try {
        const pem = { cert: readFileSync(file), key: readFileSync(this.#keys[i]!), ...authorities };
        const certificate = new X509Certificate(pem.cert);
        return { certificate, pem, context: createSecureContext({ minVersion: 'TLSv1.2', ...pem }) };
      } catch (error) {
        throw failure('MPROXY_TLS', 'certificate', `${file} with ${this.#keys[i]}`, error);
      }
    });
  }
}

/**
 * The TLS context for upstreams.
 * @throws MPROXY_TLS if a file is invalid, MPROXY_USAGE if only one of certificate and key is given
 */
export function clientContext(options: TlsClientOptions): SecureContext {
  const { tlsCa, tlsCert, tlsKey } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    const { tlsCert: cert, tlsKey: key } = TLS_NAMES;
    throw usage(tlsCert ? key : cert, 'missing', `${cert} and ${key} go together`);
  }
  const files = [tlsCert, tlsKey].filter((file) => file !== undefined);
  const ca = tlsCa === undefined ? systemRoots() : readAuthorities(tlsCa);
  try {
    return createSecureContext({
      minVersion: 'TLSv1.2',
      ca,
      ...(tlsCert !== undefined && { cert: readFileSync(tlsCert), key: readFileSync(tlsKey!) }),
    });
  } catch (error) {
    throw failure('MPROXY_TLS', 'certificate', files.join(', '), error);
  }
}

/**
 * CA certificates (PEM). A context accepts a file without any, and then trusts no certificate.
 * @throws MPROXY_TLS
 */
function readAuthorities(file: string): string {
  try {
    const pem = readFileSync(file, 'latin1');
    new X509Certificate(pem);
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
