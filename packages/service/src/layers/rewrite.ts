import type { Fields } from 'mproxy-http';
import { maskOf } from 'mproxy-http/known-names';
import { normalPath, otherReading } from 'mproxy-http/path';
import { text } from '../config-keys.js';
import type { Place } from '../config-place.js';
import type { ValuesOf } from '../config-table.js';
import { answer } from '../http/answer.js';
import type { HttpContext, HttpLayer, HttpRequest, HttpResponse, HttpService } from '../http/message.js';
import { addPathMapping } from '../http/path-mapping.js';
import { Wrapper } from '../http/wrapper.js';
import type { Result } from '../result.js';
import { hasPrefix, matchPattern, type PathPattern, patternOf } from '../routing/pattern.js';
import { layerType } from './layer-type.js';
import { pathPrefix, pathRegex, plainPath } from './path-keys.js';
import { compileRegex, REGEX_PATH_LIMIT } from './path-regex.js';
import { joinQueries, splitQuery } from './query.js';

const FORWARDED_PREFIX = 'x-forwarded-prefix';
const FORWARDED_PREFIX_BIT = maskOf(FORWARDED_PREFIX);

const KEYS = {
  stripPrefix: pathPrefix({
    help: 'segments removed from the start of the path; they become X-Forwarded-Prefix',
  }),
  addPrefix: plainPath({ help: 'put before the path, after strip_prefix' }),
  regex: pathRegex({ help: 'what is looked for in the path, after the prefixes; see `to`' }),
  to: text(
    {
      expected: 'a path like /new/$1',
      help: 'what takes the place of what `regex` matches: $1, $<name>; may have a query',
    },
    (given) => (given.includes('#') ? 'it has a fragment' : undefined),
  ),
};

export const REWRITE = layerType({
  type: 'rewrite',
  help: 'Changes the path of requests. Routes are selected before. Location and the Path of cookies are mapped back for prefixes, not for `regex`. A path that other programs could read so that it leaves the added prefix is refused: 400. A path beyond 1024 characters is not looked at by a regular expression: 414.',
  keys: KEYS,
  check: checkRewrite,
  layer: (values) => rewrite(values),
});

function checkRewrite({ regex, to, stripPrefix, addPrefix }: ValuesOf<typeof KEYS>, place: Place): void {
  if ((regex === undefined) !== (to === undefined))
    place.report(`${regex === undefined ? 'to' : 'regex'} is there alone; expected regex and to`);
  else if (regex === undefined && stripPrefix === undefined && addPrefix === undefined)
    place.report('it changes nothing; expected strip_prefix, add_prefix, or regex and to');
}

export interface RewriteOptions extends Partial<ValuesOf<typeof KEYS>> {
  /** Segments at the start of the path, such as those of the route, in whose place `addPrefix` is put; not beside `stripPrefix`. */
  replacePrefix?: string | undefined;
}

/**
 * Changes the path of requests: prefixes first, then by `regex`. A path that lacks the prefix stays as it is. The query is kept, after that
 * of `to`.
 * @throws SyntaxError of `regex`; RangeError: of a prefix that is no path
 */
export function rewrite(options: RewriteOptions): HttpLayer {
  const { stripPrefix, replacePrefix, addPrefix, regex, to } = options;
  const layers: HttpLayer[] = [];
  if (stripPrefix !== undefined || replacePrefix !== undefined || addPrefix !== undefined) {
    const removed = patternOf(stripPrefix ?? replacePrefix ?? '/');
    const added = (addPrefix ?? '').replace(/\/$/, '');
    layers.push((inner) => new PrefixRewrite(inner, removed, added, stripPrefix !== undefined));
  }
  if (regex !== undefined && to !== undefined)
    layers.push((inner) => new RegexRewrite(inner, compileRegex(regex), to));
  return (inner) => layers.reduceRight((wrapped, layer) => layer(wrapped), inner);
}

class PrefixRewrite extends Wrapper {
  /** What is added, as a less careful program reads it. */
  readonly #read: string;

  constructor(
    inner: HttpService,
    private readonly removed: PathPattern,
    private readonly added: string,
    /** Whether the upstream is told what was removed. */
    private readonly tells: boolean,
  ) {
    super(inner);
    this.#read = otherReading(added) ?? added;
  }

  override call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    const { path } = request;
    const end = path.startsWith('/') ? matchPattern(this.removed, path) : -1;
    if (end < 0) return this.inner.call(request, context);
    const outer = path.slice(0, end);
    const rewritten = this.added + path.slice(end) || '/';
    if (this.#isLeft(rewritten)) return answer(request, 400, 'ambiguous path');
    request.path = rewritten;
    addPathMapping(context, { outer, inner: this.added });
    if (this.tells && outer !== '') tell(request.fields, outer);
    return this.inner.call(request, context);
  }

  /** Whether a less careful program reads a path so that it leaves what was put before it: `/v1/..;/x`. */
  #isLeft(path: string): boolean {
    if (this.added === '') return false;
    const other = otherReading(path);
    return other !== undefined && !hasPrefix(other, this.#read);
  }
}

/** Appends to the prefix that a trusted proxy, or a layer before, has removed. The bit saves looking for it. */
function tell(fields: Fields, prefix: string): void {
  if ((fields.known & FORWARDED_PREFIX_BIT) === 0) fields.append(FORWARDED_PREFIX, prefix);
  else fields.set(FORWARDED_PREFIX, (fields.get(FORWARDED_PREFIX) ?? '') + prefix);
}

class RegexRewrite extends Wrapper {
  constructor(
    inner: HttpService,
    private readonly regex: RegExp,
    private readonly to: string,
  ) {
    super(inner);
  }

  override call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    const { path } = request;
    if (path.length > REGEX_PATH_LIMIT) return answer(request, 414, 'path too long to be rewritten');
    const [rewritten, query] = splitQuery(path.replace(this.regex, this.to));
    // A capture that was cut out of its segment could have become an escape or a dot segment.
    if (rewritten !== path && normalPath(rewritten) !== rewritten)
      return answer(request, 400, 'the rewritten path is not valid');
    request.path = rewritten;
    request.query = joinQueries(query, request.query);
    return this.inner.call(request, context);
  }
}
