import type { Program } from 'mproxy-flow';
import { CERTIFICATES_RELOADED } from 'mproxy-flow/endpoints/tcp/events';
import { ticketSeed } from 'mproxy-net/linux/tls/thread-keys';
import { Certificates } from './certificates.js';
import type { GatewayConfig } from './config/types.js';
import { CERTIFICATE_EXPIRED, CERTIFICATES_NOT_NEEDED, UPSTREAM_INSECURE } from './events.js';
import { readUpstreamCredentials } from './upstream-credentials.js';
import type { WorkerTls } from './worker-messages.js';

/** TLS of a gateway, as its main thread has it: it reads the files, and gives them to workers. */
export class GatewaySecurity {
  /** Undefined: no listener has TLS. */
  readonly #certificates: Certificates | undefined;
  #upstreams: WorkerTls['upstreams'];

  /**
   * @param secure gives what was read again to workers
   * @throws MPROXY_TLS a file cannot be used
   */
  constructor(
    private readonly config: GatewayConfig,
    private readonly program: Pick<Program, 'emit' | 'onReload' | 'presents'>,
    private readonly secure: (tls: WorkerTls) => void,
  ) {
    this.#upstreams = readUpstreamCredentials(config);
    if (config.certificates.length > 0) this.#certificates = new Certificates(config);
    for (const { place, target } of config.routes)
      if (target.kind === 'upstream' && target.tlsInsecure)
        program.emit(UPSTREAM_INSECURE, { place, upstream: target.upstreams.join(', ') });
    this.#reportPlain();
    program.presents(() => this.#presented);
    program.onReload(() => this.#reload());
    this.#reportExpired();
  }

  /** For a worker that starts. */
  forWorker(): WorkerTls {
    const server = this.#certificates?.tls;
    return { server, upstreams: this.#upstreams, ...(server && { tickets: ticketSeed() }) };
  }

  get #presented() {
    return this.#certificates?.list() ?? [];
  }

  /** @throws MPROXY_TLS; then nothing changes */
  #reload(): void {
    const upstreams = readUpstreamCredentials(this.config);
    this.#certificates?.reload();
    this.#upstreams = upstreams;
    this.secure({ server: this.#certificates?.tls, upstreams });
    this.program.emit(CERTIFICATES_RELOADED, {});
    this.#reportExpired();
  }

  /** Nobody asks the clients of a listener without TLS for certificates. */
  #reportPlain(): void {
    const { listen, certificates, httpsRedirection } = this.config;
    const plain = listen.find(({ tls }) => !tls);
    const certificate = certificates.find(({ clientCaFile }) => clientCaFile !== undefined);
    if (plain && certificate && !httpsRedirection)
      this.program.emit(CERTIFICATES_NOT_NEEDED, { listener: plain.text, certificate: certificate.place });
  }

  #reportExpired(): void {
    for (const one of this.#certificates?.expired() ?? []) this.program.emit(CERTIFICATE_EXPIRED, one);
  }
}
