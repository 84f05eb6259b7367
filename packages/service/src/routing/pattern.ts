import { normalPath, otherReading } from 'mproxy-http/path';

/** The path of a route: its segments, of which the last may be '', where the path ends with a slash. */
export interface PathPattern {
  /** As it is shown, normalised: `/users/:id`. */
  readonly text: string;
  /** `/` has none. A parameter is undefined here. */
  readonly segments: readonly (string | undefined)[];
  /** The names of its parameters, in order. */
  readonly names: readonly string[];
}

const PARAMETER = /^:([A-Za-z_][A-Za-z0-9_]*)$/;

/**
 * Reads the path of a route: `/api`, `/api/*` (the same), `/users/:id/posts`.
 * @returns a text: what is wrong with it
 */
export function parsePattern(given: string): PathPattern | string {
  if (!given.startsWith('/')) return 'it does not begin with /';
  const prefix = given.endsWith('/*') ? given.slice(0, -1).replace(/(.)\/$/, '$1') : given;
  const text = normalPath(prefix);
  if (typeof text !== 'string') return text.reason;
  const other = otherReading(text);
  if (other !== undefined) return `some programs read it as ${other}; such requests are refused`;
  const names: string[] = [];
  const segments: (string | undefined)[] = [];
  for (const segment of text === '/' ? [] : text.slice(1).split('/')) {
    if (!segment.startsWith(':')) segments.push(segment);
    else {
      const [, name] = PARAMETER.exec(segment) ?? [];
      if (name === undefined) return `${segment} is no name: letters, digits and _`;
      if (names.includes(name)) return `:${name} is there twice`;
      names.push(name);
      segments.push(undefined);
    }
  }
  return { text, segments, names };
}

/** @throws RangeError it is no path */
export function patternOf(given: string): PathPattern {
  const pattern = parsePattern(given);
  if (typeof pattern === 'string') throw new RangeError(`${given}: ${pattern}`);
  return pattern;
}

/** Whether a path begins with a prefix that ends where one of its segments ends. */
export function hasPrefix(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return path.length === prefix.length || path[prefix.length] === '/' || prefix.endsWith('/');
}

/**
 * Matches the segments of a pattern with the first ones of a path.
 * @param values if given, takes the segments that parameters stand for
 * @returns where the last of them ends, before a slash or at the end; -1: it does not match
 */
export function matchPattern({ segments }: PathPattern, path: string, values?: string[]): number {
  let at = 0;
  for (const segment of segments) {
    if (path[at] !== '/') return -1;
    if (segment === '') return at;
    const start = at + 1;
    const slash = path.indexOf('/', start);
    at = slash < 0 ? path.length : slash;
    if (segment === undefined) {
      if (at === start) return -1;
      values?.push(path.slice(start, at));
    } else if (at - start !== segment.length || !path.startsWith(segment, start)) return -1;
  }
  return at;
}
