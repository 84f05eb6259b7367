import type { GatewayConfig } from './types.js';

/** Whether a configuration has TLS, on either side. */
export function hasTls({ certificates, routes }: GatewayConfig): boolean {
  const urls = routes.flatMap(({ target }) => (target.kind === 'upstream' ? target.upstreams : []));
  return certificates.length > 0 || urls.some((url) => url.startsWith('https:'));
}
