import { MproxyError } from 'mproxy-base';
import { Place, type Reading } from 'mproxy-service/config-place';
import { isObject } from 'mproxy-service/config-table';
import { checkGateway } from './check.js';
import { type Document, substitute } from './document.js';
import { effective } from './effective.js';
import { hasTls } from './has-tls.js';
import { type FlagKey, withFlags, withoutReplaced } from './merge.js';
import { readGateway } from './schema.js';
import type { GatewayConfig } from './types.js';

/**
 * Reads a configuration.
 * @param keys what the flags give
 * @throws MPROXY_USAGE, with a line for each problem: `gateway.json: routes[2].upstreams[0]: what is wrong; what is expected`
 */
export async function readConfig(
  { value, folder, name, hasVariables }: Document,
  keys: readonly FlagKey[] = [],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<GatewayConfig> {
  const names = new Map<string, string>();
  const reading: Reading = { folder, problems: [], names };
  const document = new Place('', reading);
  const kept = isObject(value) ? withoutReplaced(value, keys) : value;
  const given = hasVariables ? substitute(kept, document, environment) : kept;
  // Without a variable, its place would be reported for what it lacks, too.
  if (reading.problems.length === 0) {
    const whole = isObject(given) ? withFlags(given, keys, names) : given;
    const values = readGateway(whole, document);
    if (values) checkGateway(values, whole as Record<string, unknown>, document);
    if (values && reading.problems.length === 0) {
      const config = effective(values, document);
      if (hasTls(config)) (await import('./check-tls-files.js')).checkTlsFiles(config, document);
      if (reading.problems.length === 0) return config;
    }
  }
  const lines = reading.problems.map((problem) =>
    name === '' || problem.startsWith('--') ? problem : `${name}: ${problem}`,
  );
  throw new MproxyError('MPROXY_USAGE', [...new Set(lines)].join('\n'));
}
