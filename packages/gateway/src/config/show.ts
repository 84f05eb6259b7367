import { type Keys, showTable, type ValuesOf } from 'mproxy-service/config-table';
import { GATEWAY } from './schema.js';
import type { GatewayConfig, RouteConfig } from './types.js';

/** The effective configuration as a document, which has the same effect: JSON. */
export function showConfig(config: GatewayConfig): string {
  const { timeouts, upstreamTimeouts, routes, ...same } = config;
  const values = { ...same, timeouts: { ...timeouts, ...upstreamTimeouts }, routes: routes.map(valuesOf) };
  return `${JSON.stringify(showTable(GATEWAY as Keys, values as ValuesOf<Keys>), undefined, 2)}\n`;
}

/** The keys of a route. */
function valuesOf({ host, path, methods, middlewares, target }: RouteConfig): Record<string, unknown> {
  const { kind, ...upstream } = target;
  const keys = kind === 'upstream' ? upstream : { [kind]: (upstream as { config: unknown }).config };
  return { host, path, methods, middlewares, ...keys };
}
