import { MproxyError } from 'mproxy-base';
import { flagGroups } from 'mproxy-command';
import { readConfig } from 'mproxy-gateway/config/read';
import { jsonSchema } from 'mproxy-gateway/config/schema';
import t from 'tap';
import { readAbouts } from '../../manual/texts.js';

/** What is wrong with a document, line by line. */
async function problems(value: unknown, environment: NodeJS.ProcessEnv = {}): Promise<string[]> {
  try {
    await readConfig({ value, folder: '/etc/gateway', name: 'g.json', hasVariables: true }, [], environment);
    return [];
  } catch (error) {
    if (!(error instanceof MproxyError) || error.code !== 'MPROXY_USAGE') throw error;
    return error.message.split('\n');
  }
}

const upstream = 'http://127.0.0.1:3000';
const route = { path: '/', upstream };
const good = { port: 8000, routes: [route] };
/** A good document with other keys. */
const but = (keys: object) => ({ ...good, ...keys });
/** A document whose only route has other keys. */
const routed = (keys: object) => but({ routes: [{ ...route, ...keys }] });
const routes = (...all: unknown[]) => but({ routes: all });
const layered = (layer: unknown) => but({ middlewares: [layer] });

t.strictSame(await problems(good), [], 'the document that they change is good');

const LISTEN = 'expected HOST:PORT, tls://HOST:PORT, unix:PATH, fd:NAME or fd:NUMBER';
const WHERE = 'expected http://HOST[:PORT], https://HOST[:PORT] or unix:PATH';
const DURATION = 'expected a duration like 500ms, 10s, 5m or 1h';

/** A document, and the only line that is reported of it, after the name of the document. */
const CASES: [document: unknown, line: string][] = [
  // The document.
  [[], '[]: expected an object'],
  ['x', '"x": expected an object'],
  [null, 'null: expected an object'],
  [{ apps: {}, listen_port: 80 }, 'this is a configuration of rpxy, which this version does not read yet'],
  [{ routes: [route] }, 'there is no listener; give listen, or host and port'],
  [{ port: 8000 }, 'there is no route; give routes'],
  [but({ service: 'app.mjs' }), 'service: routes are not used with it; give one of the two'],
  [
    { port: 1, service: 'app.mjs', port_encoding: {} },
    'service: port_encoding is not used with it; give one of the two',
  ],
  [{ port: 1, service: 'a.mjs' }, 'service: "/etc/gateway/a.mjs": expected a file that can be read'],
  [{ port: 1, service: 5 }, 'service: 5: expected a path'],
  [but({ routes: [] }), 'there is no route; give routes'],
  [but({ rutes: 1 }), 'rutes: there is no such key; did you mean routes?'],
  [but({ maxConnections: 1 }), 'maxConnections: there is no such key; did you mean max_connections?'],
  [but({ 'max-connections': 1 }), 'max-connections: there is no such key; did you mean max_connections?'],
  [but({ whatever: 1 }), 'whatever: there is no such key'],
  [but({ 'a b': 1 }), '"a b": there is no such key'],
  // Listeners.
  [but({ port: 65_536 }), 'port: 65536: expected an integer from 0 to 65535'],
  [but({ port: '8000' }), 'port: "8000": expected an integer from 0 to 65535'],
  [but({ port: 80.5 }), 'port: 80.5: expected an integer from 0 to 65535'],
  [but({ port: null }), 'port: null: expected an integer from 0 to 65535'],
  [{ host: '::', routes: [route] }, 'port: it is missing; expected an integer from 0 to 65535 beside host'],
  [but({ host: 'a b' }), 'host: "a b:8000": not a host name; write HOST:PORT or [IPv6]:PORT'],
  [
    but({ listen: '0.0.0.0:80' }),
    `listen: "0.0.0.0:80": expected a list, each ${LISTEN.slice(9)}, or an object`,
  ],
  [but({ listen: ['0.0.0.0'] }), 'listen[0]: "0.0.0.0": no port; write HOST:PORT or [IPv6]:PORT'],
  [
    but({ listen: [':80'] }),
    'listen[0]: ":80": no host; for all addresses of this host write 0.0.0.0 (IPv4) or [::]',
  ],
  [but({ listen: [80] }), `listen[0]: 80: ${LISTEN}`],
  [
    but({ listen: ['https://[::]:443'] }),
    `listen[0]: "https://[::]:443": not the address of a listener; ${LISTEN}`,
  ],
  [
    but({ listen: ['http://[::]:80'] }),
    `listen[0]: "http://[::]:80": not the address of a listener; ${LISTEN}`,
  ],
  [but({ listen: ['unix:'] }), 'listen[0]: "unix:": the path is missing; expected unix:PATH'],
  [
    but({ listen: [`unix:/${'x'.repeat(107)}`] }),
    `listen[0]: "unix:/${'x'.repeat(50)}...: longer than 107 bytes, the limit of a Unix socket; expected unix:PATH`,
  ],
  [but({ listen: ['fd:2'] }), `listen[0]: "fd:2": no descriptor from 3 on, and no name of one; ${LISTEN}`],
  [but({ listen: [{}] }), `listen[0].address: it is missing; ${LISTEN}`],
  [
    but({ listen: [{ address: '[::]:80', proxy: true }] }),
    'listen[0].proxy: there is no such key; did you mean proxy_protocol?',
  ],
  [
    but({ listen: [{ address: '[::]:80', proxy_protocol: true }] }),
    'listen[0]: proxy_protocol needs trusted_proxies, and there are none',
  ],
  [but({ listen: ['0.0.0.0:8000'] }), 'listen[0]: 0.0.0.0:8000: port listens there, too'],
  [
    but({ listen: ['unix:a', 'unix:/etc/gateway/a'] }),
    'listen[1]: unix:/etc/gateway/a: listen[0] listens there, too',
  ],
  // The server.
  [but({ thread_count: 0 }), 'thread_count: 0: expected an integer from 1 to 256'],
  [but({ engine: 'rust' }), 'engine: "rust": expected one of auto, linux, node'],
  [but({ max_connections: -1 }), 'max_connections: -1: expected an integer from 1 to 2147483647'],
  [
    but({ upgrades: ['chat', 'H2C'] }),
    'upgrades[1]: "H2C": requests in it would not be looked at; expected the name of a protocol, other than websocket and h2c',
  ],
  [
    but({ upgrades: ['websocket'] }),
    'upgrades[0]: "websocket": expected the name of a protocol, other than websocket and h2c',
  ],
  [
    but({ upgrades: ['a, b'] }),
    'upgrades[0]: "a, b": expected the name of a protocol, other than websocket and h2c',
  ],
  [but({ timeouts: { tunnel: 'never' } }), `timeouts.tunnel: "never": ${DURATION}, more than 0`],
  [routed({ timeouts: { tunnel: 'long' } }), `routes[0].timeouts.tunnel: "long": ${DURATION}, more than 0`],
  [but({ protocols: ['http3'] }), 'protocols[0]: "http3": expected one of http1, http2, websocket'],
  [but({ protocols: ['http2'] }), 'protocols: ["http2"]: expected http1 among them'],
  [
    but({ protocols: [] }),
    'protocols: []: expected a list that is not empty, each one of http1, http2, websocket',
  ],
  [but({ tls: { enabled: true, key_file: 'x' } }), 'tls.cert_file: it is missing; expected a path'],
  [but({ tls: { enabled: true, cert_file: 'x' } }), 'tls.key_file: it is missing; expected a path'],
  [but({ tls: { enabled: 'no' } }), 'tls.enabled: "no": expected true or false'],
  [but({ tls: { cert: 'x' } }), 'tls.cert: there is no such key; did you mean cert_file?'],
  [but({ error_pages: {} }), 'error_pages: this version has no error pages yet'],
  [
    but({ limits: { request_line: '8 miles' } }),
    'limits.request_line: "8 miles": expected a size like 4096, 64KiB, 8MiB or 1GB, at least 64',
  ],
  [
    but({ limits: { header_fields: '100' } }),
    'limits.header_fields: "100": expected an integer from 1 to 10000',
  ],
  [but({ limits: 5 }), 'limits: 5: expected an object'],
  [but({ timeouts: { idle: '75 seconds' } }), `timeouts.idle: "75 seconds": ${DURATION}, more than 0`],
  [but({ timeouts: { idle: 0 } }), `timeouts.idle: 0: ${DURATION}, more than 0`],
  [but({ timeouts: { conect: '1s' } }), 'timeouts.conect: there is no such key; did you mean connect?'],
  [
    but({ timeouts: { idle: '5s' }, connection_timeout_ms: 5000 }),
    'connection_timeout_ms: timeouts.idle says the same; give one of the two',
  ],
  [but({ grace: '597h' }), `grace: "597h": ${DURATION}`],
  [
    but({ trusted_proxies: ['10.0.0.0/33'] }),
    'trusted_proxies[0]: "10.0.0.0/33": expected a network like 10.0.0.0/8 or fd00::/8, or unix:',
  ],
  [but({ access_log: {} }), 'access_log.to: it is missing; expected -, a file, or udp://HOST:PORT'],
  [
    but({ access_log: { to: 'udp://239.1.1.1' } }),
    'access_log.to: "udp://239.1.1.1": no port; write HOST:PORT or [IPv6]:PORT',
  ],
  [
    but({ access_log: { to: '-', rotate_size: '1MiB' } }),
    'access_log: only a file is rotated; set to to a file',
  ],
  [
    but({ access_log: { to: 'a', keep: 3 } }),
    'access_log: nothing is rotated; give rotate_size or rotate_every',
  ],
  [
    but({ access_log: { to: 'a', rotate_every: '1ms' } }),
    `access_log.rotate_every: "1ms": ${DURATION}, at least 1s`,
  ],
  // Port encoding.
  [but({ port_encoding: {} }), 'port_encoding: routes are not used with it; give one of the two'],
  [
    { port_encoding: { suffixes: ['a..b'] } },
    'port_encoding.suffixes[0]: "a..b": expected a domain like localhost',
  ],
  [
    { port_encoding: { allow_targets: ['x:9-8'] } },
    'port_encoding.allow_targets[0]: "x:9-8": ports are 1 to 65535; expected HOST, HOST:PORT or HOST:FROM-TO',
  ],
  // Routes.
  [but({ routes: {} }), 'routes: {}: expected a list, each an object with path and upstream'],
  [routes('x'), 'routes[0]: "x": expected an object'],
  [routes({ upstream }), 'routes[0].path: it is missing; expected a path like /, /api or /users/:name'],
  [
    routes(route, { path: '/x' }),
    'routes[1]: nothing answers it; give one of upstream, upstreams, redirect, respond, static',
  ],
  [routed({ upstreams: [upstream] }), 'routes[0]: upstream and upstreams exclude each other'],
  [routed({ redirect: { to: '/b' } }), 'routes[0]: upstream and redirect exclude each other'],
  [routes({ path: '/', respond: {}, retries: 3 }), 'routes[0].retries: it has no effect on respond'],
  [routed({ path: 'api' }), 'routes[0]: path api: it does not begin with /'],
  [routed({ path: '/%zz' }), 'routes[0]: path /%zz: invalid percent-escape in the path'],
  [
    routed({ host: 'example.com:80' }),
    'routes[0]: host example.com:80: expected a host name without a port, or one like *.example.com',
  ],
  [routes(route, route), 'routes[1]: hidden by routes[0], which has the same host and path'],
  [
    routes({ ...route, methods: ['GET', 'PUT'] }, { ...route, methods: ['POST', 'PUT'] }),
    'routes[1]: hidden by routes[0], which has the same host, path and method PUT',
  ],
  [
    routes({ ...route, host: 'A.test' }, { ...route, host: 'a.test.', path: '/*' }),
    'routes[1]: hidden by routes[0], which has the same host and path',
  ],
  [
    routes({ ...route, path: '/u/:id' }, { ...route, path: '/u/:name' }),
    'routes[1]: hidden by routes[0], which has the same host and path',
  ],
  [routed({ methods: ['get'] }), 'routes[0].methods[0]: "get": methods are case-sensitive; expected GET'],
  [
    routed({ methods: ['CONNECT'] }),
    'routes[0].methods[0]: "CONNECT": CONNECT and TRACE are answered with 405; expected a method like GET',
  ],
  [routed({ methods: ['GET', 'GET'] }), 'routes[0].methods[1]: "GET": the same method as [0]'],
  [
    routed({ methods: [] }),
    'routes[0].methods: []: expected a list that is not empty, each a method like GET',
  ],
  [routed({ health_check: {} }), 'routes[0].health_check: this version has no health checks yet'],
  [routed({ load_balance: 'random' }), 'routes[0].load_balance: "random": expected one of round_robin'],
  [routed({ retries: 11 }), 'routes[0].retries: 11: expected an integer from 0 to 10'],
  [routed({ timeouts: { idle: '1s' } }), 'routes[0].timeouts.idle: there is no such key'],
  [
    routed({ strip_prefix: 'api' }),
    'routes[0].strip_prefix: "api": it does not begin with /; expected a path like /api',
  ],
  [
    routed({ path: '/b', strip_prefix: '/a' }),
    'routes[0].strip_prefix: "/a": expected the first segments of /b',
  ],
  [
    routed({ add_prefix: '/a/../b' }),
    'routes[0].add_prefix: "/a/../b": it is no normalised path; expected a path like /v1',
  ],
  [
    routed({ add_prefix: '/a?b' }),
    'routes[0].add_prefix: "/a?b": it is no normalised path; expected a path like /v1',
  ],
  [
    routed({ strip_prefix: '/', replace_path: '/b' }),
    'routes[0].replace_path: it excludes strip_prefix and add_prefix',
  ],
  [routed({ send_proxy: 'v3' }), 'routes[0].send_proxy: "v3": expected one of v1, v2'],
  // Upstreams.
  [routed({ upstream: 'localhost:3000' }), `routes[0].upstream: "localhost:3000": ${WHERE}`],
  [routed({ upstream: 'http:localhost' }), `routes[0].upstream: "http:localhost": ${WHERE}`],
  [
    routed({ upstream: 'h2://a.test' }),
    `routes[0].upstream: "h2://a.test": this version has no h2:// yet; ${WHERE}`,
  ],
  [
    routed({ upstream: 'http://a.test/b' }),
    `routes[0].upstream: "http://a.test/b": an upstream has no path: use strip_prefix, replace_path, add_prefix; ${WHERE}`,
  ],
  [
    routed({ upstream: 'http://u:pw@a.test' }),
    `routes[0].upstream: "http://u:***@a.test": an upstream takes no password here; ${WHERE}`,
  ],
  [
    routed({ upstream: 'http://a.test:0' }),
    `routes[0].upstream: "http://a.test:0": port 0 is no destination; ${WHERE}`,
  ],
  [routed({ upstream: '' }), `routes[0].upstream: "": ${WHERE}`],
  [
    routes(route, { ...route, path: '/y' }, { path: '/x', upstreams: [upstream, 'ftp://x'] }),
    `routes[2].upstreams[1]: "ftp://x": ${WHERE}`,
  ],
  [
    routes({ path: '/', upstreams: [] }),
    `routes[0].upstreams: []: expected a list that is not empty, each ${WHERE.slice(9)}`,
  ],
  [
    routes({ path: '/', upstreams: [upstream, `${upstream}/`] }),
    `routes[0].upstreams[1]: "${upstream}": the same upstream as [0]`,
  ],
  // Layers.
  [but({ middlewares: {} }), 'middlewares: {}: expected a list, each an object with type and config'],
  [layered('headers'), 'middlewares[0]: "headers": expected an object with type and config'],
  [layered({ type: 'cors', config: {} }), 'middlewares[0].type: "cors": this version has no such layer yet'],
  [
    layered({ type: 'header' }),
    'middlewares[0].type: "header": there is no such layer; did you mean headers?',
  ],
  [layered({ type: 'headers', conf: {} }), 'middlewares[0].conf: there is no such key; did you mean config?'],
  [
    routed({ middlewares: [{ type: 'headers', config: { requests: {} } }] }),
    'routes[0].middlewares[0].config.requests: there is no such key; did you mean request?',
  ],
  // The environment.
  [but({ port: `$\{NO_PORT}` }), `port: $\{NO_PORT}: the environment has no NO_PORT`],
  [
    routed({ upstream: `http://x:$\{9.}` }),
    `routes[0].upstream: "$\{9.}": expected $\{NAME}, or $$\{ for $\{ itself`,
  ],
];

for (const [document, line] of CASES) {
  t.test(line, async (t) => {
    t.strictSame(await problems(document), [`g.json: ${line}`]);
  });
}

t.test('of every flag a document tells which key says the same, or that none does', async (t) => {
  const about = (await readAbouts()).find(({ name }) => name === 'mproxy-gateway')!;
  const flags = flagGroups(about).flatMap(([, group]) => group.map(({ name }) => name.slice(2)));
  const keys = Object.keys(jsonSchema().properties as object);
  const others = flags.map((name) => name.replaceAll('-', '_')).filter((name) => !keys.includes(name));
  for (const name of others.filter((name) => name !== 'help' && name !== 'version')) {
    const [problem = ''] = await problems(but({ [name]: 1 }));
    const hint = /^g\.json: \w+: there is no such key; (?:give (\w+)|it is a flag alone: --([\w-]+))$/.exec(
      problem,
    );
    t.ok(keys.includes(hint?.[1] ?? '') || flags.includes(hint?.[2] ?? ''), problem);
  }
  t.ok(others.includes('status_addr') && others.includes('workers'));
});

t.test('all problems are reported at once, in the order of the keys', async (t) => {
  const document = {
    port: 'x',
    wrong: 1,
    routes: [{ path: '/', upstream: 'x', retries: -1 }, { path: 'y' }],
  };
  t.strictSame(await problems(document), [
    'g.json: wrong: there is no such key',
    'g.json: port: "x": expected an integer from 0 to 65535',
    `g.json: routes[0].upstream: "x": ${WHERE}`,
    'g.json: routes[0].retries: -1: expected an integer from 0 to 10',
    'g.json: routes[1]: nothing answers it; give one of upstream, upstreams, redirect, respond, static',
    'g.json: routes[1]: path y: it does not begin with /',
  ]);
});
