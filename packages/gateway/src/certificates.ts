import { MproxyError } from 'mproxy-base';
import type { TlsServer } from 'mproxy-net';
import type { GatewayConfig } from './config/types.js';
import { type Identity, readIdentity } from './tls-files.js';

type CertificatesConfig = Pick<GatewayConfig, 'certificates' | 'strictSni'>;

/** The certificates of the TLS listeners of a gateway, as its main thread reads them. */
export class Certificates {
  /** Plain data, for workers. Read and checked together, and replaced as a whole. */
  tls!: TlsServer;
  #all!: Identity[];

  /** @throws MPROXY_TLS, with a line for each file that cannot be used */
  constructor(private readonly config: CertificatesConfig) {
    this.reload();
  }

  /** Reads all files again. @throws MPROXY_TLS; then nothing changes */
  reload(): void {
    const problems: string[] = [];
    const report = (place: string, problem: string) => problems.push(`${place}: ${problem}`);
    const all = this.config.certificates.map((one) => readIdentity(one, report));
    if (problems.length > 0) throw new MproxyError('MPROXY_TLS', problems.join('\n'));
    this.#all = all as Identity[];
    this.tls = {
      pairs: this.#all.map(({ pair }) => pair),
      alpn: ['http/1.1'],
      ...(this.config.strictSni && { strictNames: true }),
    };
  }

  /** What is presented now, with the end of its validity in milliseconds since 1970. */
  list(): { file: string; notAfter: number }[] {
    const ends = this.#all.map(({ certificate }, i): [file: string, notAfter: number] => {
      return [this.config.certificates[i]!.certFile, Date.parse(certificate.validTo)];
    });
    // Several entries can have one file, each for some of its names.
    return [...new Map(ends)].map(([file, notAfter]) => ({ file, notAfter }));
  }

  /** Those that are not valid any more. */
  expired(): { file: string; since: string }[] {
    const old = this.list().filter(({ notAfter }) => notAfter < Date.now());
    return old.map(({ file, notAfter }) => ({ file, since: new Date(notAfter).toISOString() }));
  }
}
