import type { SocketAddress } from 'mproxy-base';
import type { TlsServer } from 'mproxy-net';
import { TrustedProxies } from 'mproxy-service/http/forward-client';
import type { ServerOptions, Serving } from 'mproxy-service/tcp-server';
import type { GatewayConfig } from './config/types.js';

type Config = Pick<GatewayConfig, 'listen' | 'timeouts' | 'trustedProxies'>;
/** What TLS makes of a listener. */
type SecureOptions = Pick<ServerOptions, 'tls' | 'proxyProtocol' | 'handshakeTimeout' | 'onHandshakeError'>;

/** TLS of the listeners of a worker. */
export class ListenerSecurity {
  readonly #servers: Serving[] = [];
  /** Take other certificates, too. */
  readonly #users: ((tls: TlsServer) => void)[] = [];
  #first: SocketAddress | undefined;

  constructor(
    private current: TlsServer,
    private readonly config: Config,
  ) {}

  get tls(): TlsServer {
    return this.current;
  }

  /** The port of the first TLS listener, by the order of the configuration; undefined: it has none, or is not open yet. */
  get port(): number | undefined {
    return this.#first?.port;
  }

  /** For a listener. @param onFailed called for each handshake that fails */
  options(listener: number, onFailed: NonNullable<ServerOptions['onHandshakeError']>): SecureOptions {
    const { listen, timeouts, trustedProxies } = this.config;
    const trusted = new TrustedProxies(trustedProxies);
    return {
      ...{ tls: this.current, handshakeTimeout: timeouts.tlsHandshake, onHandshakeError: onFailed },
      ...(listen[listener]!.proxyProtocol && {
        proxyProtocol: { trusts: (peer) => trusted.has(peer?.address) },
      }),
    };
  }

  /** A listener is open. */
  opened(listener: number, server: Serving): void {
    this.#servers.push(server);
    if (listener === this.config.listen.findIndex(({ tls }) => tls)) this.#first ??= server.addresses[0];
  }

  onUse(user: (tls: TlsServer) => void): void {
    this.#users.push(user);
  }

  /** Uses other certificates for TLS handshakes from now on. @throws the error of OpenSSL */
  use(tls: TlsServer): void {
    for (const server of this.#servers) server.secure(tls);
    for (const user of this.#users) user(tls);
    this.current = tls;
  }
}
