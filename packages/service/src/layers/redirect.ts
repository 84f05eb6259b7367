import { integer, text } from '../config-keys.js';
import type { Place } from '../config-place.js';
import type { ValuesOf } from '../config-table.js';
import { answer } from '../http/answer.js';
import type { HttpContext, HttpLayer, HttpRequest, HttpResponse, HttpService } from '../http/message.js';
import { Wrapper } from '../http/wrapper.js';
import type { Result } from '../result.js';
import { matchPattern, patternOf } from '../routing/pattern.js';
import { layerType } from './layer-type.js';
import { pathPrefix, pathRegex } from './path-keys.js';
import { compileRegex, REGEX_PATH_LIMIT } from './path-regex.js';
import { joinQueries, splitQuery } from './query.js';

const STATUSES = [301, 302, 303, 307, 308];

const KEYS = {
  to: text(
    {
      required: true,
      expected: 'an http or https URL, or a path',
      help: 'where to: a URL or a path; with `strip_prefix` what follows the prefix is put behind it, with `regex` it has $1, $<name>',
    },
    targetProblem,
  ),
  status: integer(301, 308, {
    default: 302,
    help: '301, 302, 303, 307 or 308',
    expected: '301, 302, 303, 307 or 308',
  }),
  stripPrefix: pathPrefix({ help: 'only paths that begin with these segments are redirected' }),
  regex: pathRegex({ help: 'only paths that it matches are redirected' }),
};

export const REDIRECT = layerType({
  type: 'redirect',
  help: 'Answers with a redirection. The query is kept with `strip_prefix` and `regex`. Requests that these do not match are passed on. A path beyond 1024 characters is not looked at by a regular expression: 414.',
  keys: KEYS,
  check: checkRedirect,
  layer: (values) => redirect(values),
});

function checkRedirect(values: ValuesOf<typeof KEYS>, place: Place): void {
  if (!STATUSES.includes(values.status))
    place.key('status').report(`${values.status}: expected ${KEYS.status.expected}`);
  if (values.stripPrefix !== undefined && values.to.includes('#'))
    place.key('to').report(`${JSON.stringify(values.to)}: a fragment cannot be followed by a path`);
  if (values.regex !== undefined && values.stripPrefix !== undefined)
    place.report('strip_prefix and regex exclude each other');
  if (values.regex?.startsWith('^') === false)
    place.key('regex').report(`${JSON.stringify(values.regex)}: expected one that begins with ^`);
}

/** Whether what is put into a target could change its host: the path of a URL begins before the first of it. */
function targetProblem(to: string): string | undefined {
  if (!/^[\x21-\x7e]+$/.test(to)) return 'it has characters that a URL may not have';
  if (/^\/(?![/\\])/.test(to)) return undefined;
  if (!/^https?:\/\/[^/?#\\$]+/.test(to)) return '';
  return /^https?:\/\/[^/?#\\$]+([/?#].*)?$/.test(to) ? undefined : 'its host is not followed by a /';
}

export type RedirectOptions = Partial<ValuesOf<typeof KEYS>> & { to: string };

/** Answers with a redirection. @throws SyntaxError of `regex`; RangeError of `stripPrefix` */
export function redirect({ to, status = 302, stripPrefix, regex }: RedirectOptions): HttpLayer {
  const location =
    regex !== undefined
      ? byRegex(compileRegex(regex), to)
      : stripPrefix !== undefined
        ? byPrefix(stripPrefix, to)
        : () => to;
  const longest = regex === undefined ? Number.POSITIVE_INFINITY : REGEX_PATH_LIMIT;
  return (inner) => new Redirect(inner, location, status, longest);
}

/** The target of a request, undefined: it is not redirected. */
type Location = (request: HttpRequest) => string | undefined;

function byRegex(regex: RegExp, to: string): Location {
  return ({ path, query }) => (regex.test(path) ? withQuery(path.replace(regex, to), query) : undefined);
}

function byPrefix(prefix: string, to: string): Location {
  const pattern = patternOf(prefix);
  const [base, own] = splitQuery(to);
  return ({ path, query }) => {
    const end = matchPattern(pattern, path);
    return end < 0 ? undefined : withQuery(base.replace(/\/$/, '') + path.slice(end) + own, query);
  };
}

function withQuery(target: string, query: string): string {
  const [path, own] = splitQuery(target);
  return path + joinQueries(own, query);
}

class Redirect extends Wrapper {
  constructor(
    inner: HttpService,
    private readonly location: Location,
    private readonly status: number,
    /** Of a path, in characters. */
    private readonly longest: number,
  ) {
    super(inner);
  }

  override call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    if (!request.path.startsWith('/')) return this.inner.call(request, context);
    if (request.path.length > this.longest) return answer(request, 414, 'path too long to be redirected');
    const found = this.location(request);
    if (found === undefined) return this.inner.call(request, context);
    // A browser takes //host and /\host for another host.
    const location = found.replace(/^\/[/\\]+/, '/');
    return answer(request, this.status, `redirected to ${location}`, { location });
  }
}
