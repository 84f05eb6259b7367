import { usage } from 'mproxy-base';
import { otherReading } from 'mproxy-http/path';
import { ExtensionKey } from './context.js';
import { answer } from './http/answer.js';
import type { HttpContext, HttpRequest, HttpResponse, HttpService } from './http/message.js';
import type { Result } from './result.js';
import { matchPattern, type PathPattern } from './routing/pattern.js';
import { type RouteRule, RouteTable } from './routing/route-table.js';

/** What a router's rule leads to. */
export interface RouteTarget {
  /** For metrics and the access log. */
  name: string;
  service: HttpService;
}

/** The segments of the path that the `:name` segments of the route stand for, percent-encoded as they came. */
export const PATH_PARAMETERS = new ExtensionKey<Readonly<Record<string, string>>>('path parameters');

/**
 * Passes requests on by host, path and method (see {@link RouteTable}). Without a rule for host and path it answers 404; without one for the
 * method, 405. A path that another program could read so that it takes another route is refused: 400.
 * @throws MPROXY_USAGE a rule that is wrong, or that another one hides
 */
export function router(rules: readonly RouteRule<RouteTarget>[]): HttpService {
  const table = new RouteTable(rules);
  const [problem] = table.problems;
  if (problem) throw usage(problem.place, '', problem.text);
  return new Router(table);
}

class Router implements HttpService {
  /** The last path that all programs read alike: the next one is often the same. */
  #clear = '';

  constructor(private readonly table: RouteTable<RouteTarget>) {}

  call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    const { host, path } = request;
    const entry = this.table.find(host, path);
    if (path !== this.#clear) {
      const other = otherReading(path);
      if (other === undefined) this.#clear = path;
      else if (this.table.find(host, other) !== entry) return answer(request, 400, 'ambiguous path');
    }
    if (!entry) return answer(request, 404, 'no route for this host and path');
    const rule = entry.value.find(request.method);
    if (!rule) {
      const { allow } = entry.value;
      return answer(request, 405, `method not allowed; allowed: ${allow}`, { allow });
    }
    if (entry.pattern.names.length > 0) setParameters(entry.pattern, path, context);
    context.route = rule.value.name;
    return rule.value.service.call(request, context);
  }
}

function setParameters(pattern: PathPattern, path: string, context: HttpContext): void {
  const values: string[] = [];
  matchPattern(pattern, path, values);
  const pairs = pattern.names.map((name, i) => [name, values[i]!]);
  context.set(PATH_PARAMETERS, Object.fromEntries(pairs));
}
