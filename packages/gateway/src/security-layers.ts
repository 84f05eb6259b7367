import type { HttpLayer } from 'mproxy-service/http/message';
import type { LayerSetup } from 'mproxy-service/layers/layer-type';
import type { GatewayConfig } from './config/types.js';
import type { ListenerSecurity } from './listener-security.js';

interface Parts {
  /** Undefined: no listener has TLS. */
  security: ListenerSecurity | undefined;
}

/** Layers of TLS outside of forwarding. Only those that a configuration has are loaded. */
export async function securityLayers(config: GatewayConfig, { security }: Parts): Promise<HttpLayer[]> {
  if (!security) return [];
  const layers: HttpLayer[] = [];
  if (config.hsts) {
    const { strictTransport } = await import('mproxy-service/layers/strict-transport');
    layers.push(strictTransport(config.hsts));
  }
  const { certificates, strictSni } = config;
  // With one certificate there is one site, whose authorities of clients can change.
  const differs = certificates.length > 1 || certificates[0]?.clientCaFile !== undefined || strictSni;
  if (!config.ignoreSniConsistency && differs) {
    const { Sites } = await import('mproxy-service/sites');
    const { misdirected } = await import('mproxy-service/layers/misdirected');
    const sites = new Sites(security.tls);
    security.onUse((tls) => sites.use(tls));
    layers.push(misdirected(sites));
  }
  return layers;
}

/** Layers of TLS inside of forwarding: it knows what trusted proxies say. */
export async function clientLayers(
  config: GatewayConfig,
  { security }: Parts,
  setup: LayerSetup,
): Promise<HttpLayer[]> {
  const layers: HttpLayer[] = [];
  if (config.httpsRedirection && security) {
    const { httpsRedirection } = await import('mproxy-service/layers/https-redirection');
    layers.push(httpsRedirection(() => config.httpsPort ?? security.port));
  }
  if (config.clientCertificate) {
    const { clientCertificate } = await import('mproxy-service/layers/client-certificate');
    layers.push(clientCertificate({ ...config.clientCertificate, ...setup }));
  }
  return layers;
}
