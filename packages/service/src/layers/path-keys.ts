import { normalPath } from 'mproxy-http/path';
import { text } from '../config-keys.js';
import { parsePattern } from '../routing/pattern.js';
import { regexProblem } from './path-regex.js';

/** A path whose first segments are looked for; `:name` stands for any one. */
export function pathPrefix<const D extends { help: string }>(definition: D) {
  return text({ expected: 'a path like /api', ...definition }, (given) => {
    const pattern = parsePattern(given);
    return typeof pattern === 'string' ? pattern : undefined;
  });
}

/** A path that is put before another one. */
export function plainPath<const D extends { help: string }>(definition: D) {
  return text({ expected: 'a path like /v1', ...definition }, (given) =>
    normalPath(given) === given ? undefined : 'it is no normalised path',
  );
}

export function pathRegex<const D extends { help: string }>(definition: D) {
  return text({ expected: 'a regular expression like ^/old/(.*)$', ...definition }, regexProblem);
}
