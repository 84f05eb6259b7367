import type { Program } from 'mproxy-flow';
import { CERTIFICATES_RELOADED } from 'mproxy-flow/endpoints/tcp/events';
import type { TlsServer } from 'mproxy-net';
import { ticketSeed } from 'mproxy-net/linux/tls/thread-keys';
import { Certificates } from './certificates.js';
import type { GatewayConfig } from './config/types.js';
import { CERTIFICATE_EXPIRED, UPSTREAM_INSECURE } from './events.js';
import { readUpstreamCredentials } from './upstream-credentials.js';
import type { WorkerTls } from './worker-messages.js';

/** TLS of a gateway, as its main thread has it: it reads the files, and gives them to workers. */
export class GatewaySecurity {
  /** Undefined: no listener has TLS. */
  readonly #certificates: Certificates | undefined;
  readonly #upstreams: WorkerTls['upstreams'];

  /**
   * @param secure gives other certificates to workers
   * @throws MPROXY_TLS a file cannot be used
   */
  constructor(
    config: GatewayConfig,
    private readonly program: Pick<Program, 'emit' | 'onReload' | 'presents'>,
    private readonly secure: (tls: TlsServer) => void,
  ) {
    this.#upstreams = readUpstreamCredentials(config);
    for (const { place, target } of config.routes)
      if (target.kind === 'upstream' && target.tlsInsecure)
        program.emit(UPSTREAM_INSECURE, { place, upstream: target.upstreams.join(', ') });
    if (config.certificates.length === 0) return;
    const certificates = new Certificates(config);
    this.#certificates = certificates;
    program.presents(() => certificates.list());
    program.onReload(() => this.#reload(certificates));
    this.#reportExpired(certificates);
  }

  /** For a worker that starts. */
  forWorker(): WorkerTls {
    const server = this.#certificates?.tls;
    return { server, upstreams: this.#upstreams, ...(server && { tickets: ticketSeed() }) };
  }

  /** @throws MPROXY_TLS; then nothing changes */
  #reload(certificates: Certificates): void {
    certificates.reload();
    this.secure(certificates.tls);
    this.program.emit(CERTIFICATES_RELOADED, {});
    this.#reportExpired(certificates);
  }

  #reportExpired(certificates: Certificates): void {
    for (const { file, notAfter } of certificates.list())
      if (notAfter < Date.now())
        this.program.emit(CERTIFICATE_EXPIRED, { file, since: new Date(notAfter).toISOString() });
  }
}
