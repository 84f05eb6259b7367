import {
  choice,
  duration,
  integer,
  later,
  list,
  object,
  parsed,
  path,
  text,
  toggle,
} from 'mproxy-service/config-keys';
import { type Place, wrong } from 'mproxy-service/config-place';
import { type Keys, keyName, type ValuesOf } from 'mproxy-service/config-table';
import { pathPrefix, plainPath } from 'mproxy-service/layers/path-keys';
import { matchPattern, patternOf } from 'mproxy-service/routing/pattern';
import { readUpstream, UPSTREAM } from './addresses.js';
import { configOf, middleware } from './middleware.js';
import { METHOD, readMethod } from './patterns.js';
import { ROUTE_TIMEOUTS } from './schema-timeouts.js';

const MANY = 2 ** 31 - 1;

export const POOL = {
  maxIdle: integer(0, MANY, { default: 512, help: 'kept connections without a request' }),
  maxConnections: integer(1, MANY, { default: 4096, help: 'connections; beyond, requests wait' }),
  maxQueue: integer(0, MANY, { default: 1024, help: 'requests that wait for a connection; beyond: 503' }),
  idle: duration({ default: '4s', help: 'a kept connection without a request is closed' }),
};

const upstream = parsed({ help: 'an upstream', expected: UPSTREAM }, readUpstream);

/** Of a route with an upstream alone. */
const FORWARDING = {
  loadBalance: choice(['round_robin'], { help: 'how an upstream is chosen; default round_robin' }),
  retries: integer(0, 10, { help: 'further tries of a request that may be repeated; default 1' }),
  timeouts: object(ROUTE_TIMEOUTS, { help: 'time-outs of its upstreams' }),
  pool: object(POOL, { help: 'connections of each worker to each upstream' }),
  hostHeader: choice(['client', 'upstream'], { help: 'which Host is sent; default client' }),
  forwarded: toggle({ help: 'send Forwarded (RFC 7239), too; default false' }),
  sendProxy: choice(['v1', 'v2'], { help: 'begin connections with a PROXY header; default none' }),
  stripPrefix: pathPrefix({ help: 'removed from the start of the path, and sent as X-Forwarded-Prefix' }),
  replacePath: plainPath({ help: 'put in the place of the path of the route' }),
  addPrefix: plainPath({ help: 'put before the path, after strip_prefix' }),
};

/** Of a route with an https upstream alone. */
const UPSTREAM_TLS = {
  tlsCa: path({ help: "the authorities of https upstreams; default the system's" }),
  tlsServername: text(
    { expected: 'the name of a host', help: 'the name that is asked for and verified; default the host' },
    (name) => (name.startsWith('.') || /[^\x21-\x7e]/.test(name) ? '' : undefined),
  ),
  tlsCert: path({ help: 'the client certificate that is presented to them' }),
  tlsKey: path({ help: 'its key' }),
  tlsInsecure: toggle({ help: 'do not verify https upstreams; default false' }),
};

const UPSTREAMS = {
  upstream: parsed({ expected: UPSTREAM, help: 'where requests go' }, readUpstream),
  upstreams: list(upstream, { help: 'the same for several, which take turns' }, 1),
};

/** Answers of the gateway itself, by the layers of these names. */
export const ANSWERS = ['redirect', 'respond', 'static'] as const;

export const ROUTE = {
  host: text({ help: 'example.com or *.example.com; default every host that no other route names' }),
  path: text({
    required: true,
    expected: 'a path like /, /api or /users/:name',
    help: 'it and all below it',
  }),
  methods: list(parsed({ help: 'a method', expected: METHOD }, readMethod), { help: 'default all' }, 1),
  ...UPSTREAMS,
  redirect: configOf('redirect'),
  respond: configOf('respond'),
  static: configOf('static'),
  middlewares: list(middleware, { default: [], help: 'layers of this route, the first outermost' }),
  ...FORWARDING,
  ...UPSTREAM_TLS,
  healthCheck: later('health checks'),
};

type Values = ValuesOf<typeof ROUTE>;

/** A route has one target, and keys that concern upstreams only with one. */
export function checkRoute(route: Values, place: Place): void {
  const targets = [...Object.keys(UPSTREAMS), ...ANSWERS] as (keyof Values)[];
  const given = targets.filter((key) => route[key] !== undefined);
  if (given.length === 0) place.report(`nothing answers it; give one of ${targets.join(', ')}`);
  else if (given.length > 1) place.report(`${given.join(' and ')} exclude each other`);
  else if (!given[0]!.startsWith('upstream'))
    reportIdle({ ...FORWARDING, ...UPSTREAM_TLS }, route, place, given[0]!);
  else checkUpstreamTls(route, place);
  const { path, stripPrefix } = route;
  if (stripPrefix !== undefined && matchPattern(patternOf(stripPrefix), path) < 0)
    wrong(place.key('strip_prefix'), stripPrefix, `the first segments of ${path}`);
  if (route.replacePath !== undefined && (route.stripPrefix ?? route.addPrefix) !== undefined)
    place.key('replace_path').report('it excludes strip_prefix and add_prefix');
  checkTwice(route.upstreams ?? [], place.key('upstreams'), 'the same upstream as');
  checkTwice(route.methods ?? [], place.key('methods'), 'the same method as');
}

/** Reports the keys that were given, and can do nothing. @param what they have no effect on */
function reportIdle(keys: Keys, route: Values, place: Place, what: string): void {
  const idle = Object.entries(keys).filter(([key]) => route[key as keyof Values] !== undefined);
  for (const [key, one] of idle) place.key(keyName(key, one)).report(`it has no effect on ${what}`);
}

function checkUpstreamTls(route: Values, place: Place): void {
  const { upstream, upstreams = [], tlsCa, tlsCert, tlsKey, tlsInsecure } = route;
  const all = upstream === undefined ? upstreams : [upstream];
  if (!all.some((url) => url.startsWith('https:'))) {
    reportIdle(UPSTREAM_TLS, route, place, 'upstreams that are not https://');
    return;
  }
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    place
      .key(tlsCert === undefined ? 'tls_cert' : 'tls_key')
      .report('it is missing; tls_cert and tls_key go together');
  if (tlsInsecure && tlsCa !== undefined) place.key('tls_ca').report('it has no effect with tls_insecure');
}

export function checkTwice(values: readonly string[], place: Place, what: string): void {
  for (const [i, value] of values.entries()) {
    const first = values.indexOf(value);
    if (first < i) place.at(i).report(`${JSON.stringify(value)}: ${what} [${first}]`);
  }
}
