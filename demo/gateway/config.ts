import { APP, EVENTS } from './routes.js';

/** What the fixed response has. */
export const HEALTH = 'well\n';

/**
 * The gateway's configuration, with a line for each key and each route.
 * @param app URL of the server of app.localhost
 * @param events URL of the server of events.localhost
 */
export function gatewayConfig(app: string, events: string): string {
  const stripAssets = { type: 'rewrite', config: { strip_prefix: '/assets' } };
  const routes = [
    { host: APP, path: '/', upstream: app },
    { host: APP, path: '/turns', upstreams: [app, events] },
    { host: APP, path: '/api', upstream: app, strip_prefix: '/api' },
    { host: APP, path: '/large', upstream: app },
    { host: APP, path: '/assets', static: { root: 'assets' }, middlewares: [stripAssets] },
    { host: APP, path: '/health', respond: { status: 200, body: HEALTH } },
    { host: APP, path: '/old', redirect: { to: '/', status: 301, strip_prefix: '/old' } },
    { host: EVENTS, path: '/socket', upstream: events },
    { host: EVENTS, path: '/events', upstream: events },
  ];
  const document = {
    listen: ['tls://127.0.0.1:0', '127.0.0.1:0'],
    certificates: [{ cert_file: 'cert.pem', key_file: 'key.pem' }],
    https_redirection: true,
    grace: '2s',
  };
  const keys = Object.entries(document).map(([key, value]) => `  "${key}": ${JSON.stringify(value)},`);
  const lines = routes.map((route) => `    ${JSON.stringify(route)}`).join(',\n');
  return `{\n${keys.join('\n')}\n  "routes": [\n${lines}\n  ]\n}\n`;
}
