// biome-ignore-all lint/suspicious/noTemplateCurlyInString: documents and commands have them
import { readFileSync } from 'node:fs';
import { readConfig } from 'mproxy-gateway/config/read';
import { jsonSchema } from 'mproxy-gateway/config/schema';
import { showConfig } from 'mproxy-gateway/config/show';
import type { GatewayConfig } from 'mproxy-gateway/config/types';
import { type GatewayOptions, readOptions } from 'mproxy-gateway/options';
import t from 'tap';

const upstream = 'http://127.0.0.1:3000';
const routes = [{ path: '/', upstream }];

function read(value: unknown): Promise<GatewayConfig> {
  return readConfig({ value, folder: '/etc/gateway', name: '', hasVariables: false });
}

t.test('the defaults of a configuration', async (t) => {
  t.strictSame(await read({ port: 8000, routes }), {
    listen: [
      {
        place: 'port',
        text: '0.0.0.0:8000',
        at: { kind: 'tcp', host: '0.0.0.0', port: 8000 },
        tls: false,
        proxyProtocol: false,
      },
    ],
    workers: undefined,
    engine: 'auto',
    backlog: 4096,
    maxConnections: 10_000,
    maxConnectionsPerIp: undefined,
    protocols: ['http1', 'websocket'],
    limits: {
      requestLine: 8192,
      headerSection: 32_768,
      headerFields: 100,
      maxBody: undefined,
      chunkOverhead: 16_384,
    },
    upgrades: [],
    timeouts: {
      tlsHandshake: 10_000,
      requestHead: 10_000,
      idle: 75_000,
      requestBody: 30_000,
      requestBodyRate: 500,
      send: 60_000,
    },
    upstreamTimeouts: {
      connect: 5000,
      responseHead: 60_000,
      responseBody: 300_000,
      eventStream: 3_600_000,
      tunnel: 3_600_000,
    },
    trustedProxies: [],
    routes: [
      {
        place: 'routes[0]',
        name: '/',
        host: undefined,
        path: '/',
        methods: undefined,
        middlewares: [],
        target: {
          kind: 'upstream',
          upstreams: [upstream],
          loadBalance: 'round_robin',
          retries: 1,
          timeouts: {
            connect: 5000,
            responseHead: 60_000,
            responseBody: 300_000,
            eventStream: 3_600_000,
            tunnel: 3_600_000,
          },
          pool: { maxIdle: 512, maxConnections: 4096, maxQueue: 1024, idle: 4000 },
          hostHeader: 'client',
          forwarded: false,
          sendProxy: undefined,
          stripPrefix: undefined,
          replacePath: undefined,
          addPrefix: undefined,
          tlsCa: undefined,
          tlsServername: undefined,
          tlsCert: undefined,
          tlsKey: undefined,
          tlsInsecure: undefined,
        },
      },
    ],
    certificates: [],
    strictSni: false,
    ignoreSniConsistency: false,
    httpsRedirection: false,
    httpsPort: undefined,
    hsts: undefined,
    clientCertificate: undefined,
    middlewares: [],
    accessLog: undefined,
    drain: 0,
    grace: 25_000,
    service: undefined,
    portEncoding: undefined,
    run: [],
  } satisfies GatewayConfig);
});

t.test('it is plain data, as workers get it', async (t) => {
  const config = await read({
    listen: ['unix:a', 'fd:web', 'fd:3', '[::1]:0', '127.0.0.1:0', '127.0.0.1:0'],
    routes,
  });
  t.strictSame(structuredClone(config), config);
  t.strictSame(
    config.listen.map(({ at }) => at),
    [
      { kind: 'unix', path: '/etc/gateway/a' },
      { kind: 'fd', fd: 'web' },
      { kind: 'fd', fd: 3 },
      { kind: 'tcp', host: '::1', port: 0 },
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
    ],
  );
});

t.test('a route has the time-outs of the document that it does not set', async (t) => {
  const timeouts = { connect: '2s', response_body: '1m', idle: 7 };
  const config = await read({
    port: 1,
    timeouts,
    routes: [{ path: '/', upstream, timeouts: { connect: '100ms' } }],
  });
  const expected = {
    connect: 100,
    responseHead: 60_000,
    responseBody: 60_000,
    eventStream: 3_600_000,
    tunnel: 3_600_000,
  };
  t.match(config, { timeouts: { idle: 7000 }, routes: [{ target: { timeouts: expected } }] });
});

/** Documents that use every key. */
const DOCUMENTS: Record<string, object> = {
  minimal: { port: 8000, routes },
  server: {
    ...{ host: '::1', port: 8000, listen: ['unix:a', { address: 'fd:3', proxy_protocol: true }], routes },
    ...{ thread_count: 2, engine: 'node', backlog: 5, max_connections: 6, max_connections_per_ip: 7 },
    ...{ connection_timeout_ms: 1500, protocols: ['http1', 'http2', 'websocket'], drain: '90s', grace: '2h' },
    limits: {
      request_line: 100,
      header_section: '1KiB',
      header_fields: 9,
      max_body: '1MB',
      chunk_overhead: 1,
    },
    timeouts: { request_head: '1ms', request_body: 2, request_body_rate: '1kB', send: '0.5s', connect: 4 },
    tls: { enabled: false, cert_file: null, key_file: null },
    trusted_proxies: ['10.0.0.0/8', 'fd00::/8', '::1', 'unix:'],
    access_log: {
      to: 'a.log',
      format: 'combined',
      redact_query: true,
      rotate_size: '1MiB',
      rotate_every: '1h',
      keep: 3,
      gzip: true,
    },
    run: ['a', 'b c'],
    $schema: './schema.json',
  },
  routes: {
    listen: ['127.0.0.1:1'],
    routes: [
      {
        host: 'A.test.',
        path: '/a/*',
        methods: ['GET', 'X-Y'],
        upstreams: ['http://[::1]', 'unix:/b'],
        retries: 0,
      },
      {
        host: '*.a.test',
        path: '/u/:id',
        upstream,
        strip_prefix: '/u',
        add_prefix: '/v1',
        send_proxy: 'v2',
        forwarded: true,
      },
      {
        path: '/b',
        upstream,
        replace_path: '/',
        host_header: 'upstream',
        pool: { max_idle: 0, max_queue: 1, idle: '1s' },
      },
      { path: '/c', redirect: { to: '/d' }, middlewares: [{ type: 'request_id', config: {} }] },
      { path: '/d', respond: { status: 503, body: 'later', headers: { 'retry-after': '5' } } },
      {
        path: '/',
        upstream,
        load_balance: 'round_robin',
        timeouts: { event_stream: '1m', response_head: '1s' },
      },
    ],
    middlewares: [
      { type: 'headers', config: { response: { set: { 'x-a': 'b' } } } },
      { type: 'ip_allow', config: { allow: ['127.0.0.0/8'] } },
    ],
  },
  ports: {
    port_encoding: {
      suffixes: ['localhost', 'Dev.test.'],
      allow_targets: ['a.test', '10.0.0.1:80', 'b:1-9'],
    },
  },
};

for (const [name, document] of Object.entries(DOCUMENTS)) {
  t.test(`${name}: what is printed has the same effect`, async (t) => {
    const config = await read(document);
    const shown = JSON.parse(showConfig(config));
    const places = (one: GatewayConfig) => ({ ...one, listen: one.listen.map((l) => ({ ...l, place: '' })) });
    t.strictSame(
      places(await readConfig({ value: shown, folder: '/', name: '', hasVariables: false })),
      places(config),
    );
    t.strictSame(showConfig(await read(shown)), showConfig(config));
  });
}

const { MPROXY_TEST_DATA } = process.env;
for (const name of ['basic_proxy', 'high_performance'])
  t.test(
    `ZProxy: ${name}.json as it is`,
    { skip: !MPROXY_TEST_DATA && 'MPROXY_TEST_DATA is not set' },
    async (t) => {
      const path = `${MPROXY_TEST_DATA}/config/${name}.json`;
      const document = JSON.parse(readFileSync(path, 'utf8'));
      const config = await readOptions({ config: path });
      t.match(config, {
        listen: [{ text: '0.0.0.0:8000' }],
        workers: document.thread_count,
        backlog: document.backlog,
        maxConnections: document.max_connections,
        timeouts: { idle: document.connection_timeout_ms },
        protocols: document.protocols,
        routes: document.routes.map(({ path, methods, upstream }: Record<string, unknown>) => {
          return { path, methods, target: { upstreams: [upstream] } };
        }),
        middlewares: [],
      });
    },
  );

t.test(
  'ZProxy: layers that are not there yet are named',
  { skip: !MPROXY_TEST_DATA && 'MPROXY_TEST_DATA is not set' },
  async (t) => {
    const config = `${MPROXY_TEST_DATA}/config/with_middleware.json`;
    const line = (i: number, type: string) =>
      `with_middleware.json: middlewares[${i}].type: "${type}": this version has no such layer yet`;
    await t.rejects(readOptions({ config }), {
      message: [line(0, 'rate_limit'), line(1, 'cors'), line(2, 'cache')].join('\n'),
    });
  },
);

const listenAddr = '127.0.0.1:8000';
const route = '/=http://a:1';

t.test('flags are the same configuration as a document', async (t) => {
  const shown = async (options: GatewayOptions) => showConfig(await readOptions(options));
  const cases: [flags: GatewayOptions, document: object][] = [
    [
      { listenAddr, route },
      { listen: [listenAddr], routes: [{ path: '/', upstream: 'http://a:1' }] },
    ],
    [
      {
        listenAddr: ['unix:/a', 'fd:x'],
        route: ['a.test/b=http://a|unix:/c', '/=x=http://b', '/y=http://b'],
        trust: ['::1', 'unix:'],
      },
      {
        listen: ['unix:/a', 'fd:x'],
        trusted_proxies: ['::1', 'unix:'],
        routes: [
          { host: 'a.test', path: '/b', upstreams: ['http://a', 'unix:/c'] },
          { path: '/=x', upstream: 'http://b' },
          { path: '/y', upstream: 'http://b' },
        ],
      },
    ],
    [
      {
        listenAddr,
        route,
        workers: 3,
        engine: 'node',
        drain: '1500ms',
        grace: 5,
        accessLog: '-',
        logFormat: 'combined',
      },
      {
        ...{
          listen: [listenAddr],
          routes: [{ path: '/', upstream: 'http://a:1' }],
          thread_count: 3,
          engine: 'node',
        },
        ...{ drain: '1500ms', grace: '5s', access_log: { to: '-', format: 'combined' } },
      },
    ],
    [
      {
        listenAddr,
        route,
        accessLog: '/a',
        rotateSize: '1MiB',
        rotateEvery: '1h',
        keep: 2,
        gzip: true,
        run: 'x ${Y}',
      },
      {
        ...{ listen: [listenAddr], routes: [{ path: '/', upstream: 'http://a:1' }], run: ['x ${Y}'] },
        access_log: { to: '/a', rotate_size: '1MiB', rotate_every: '1h', keep: 2, gzip: true },
      },
    ],
    [{ portEncoding: true }, { listen: ['127.0.0.1:24306'], port_encoding: { suffixes: ['localhost'] } }],
    [
      { portEncoding: ['a.test', 'b.test'], allowTarget: 'c:1-2', listenAddr },
      { listen: [listenAddr], port_encoding: { suffixes: ['a.test', 'b.test'], allow_targets: ['c:1-2'] } },
    ],
  ];
  for (const [flags, config] of cases)
    t.equal(await shown(flags), await shown({ config: config as Record<string, unknown> }));
});

t.test('flags replace keys of the document; routes and networks they add', async (t) => {
  const config = {
    ...{
      host: '0.0.0.0',
      port: 1,
      listen: ['[::]:2'],
      thread_count: 1,
      trusted_proxies: ['::1'],
      run: ['a'],
    },
    ...{ access_log: { to: '/a', format: 'combined' }, routes: [{ path: '/x', upstream: 'http://x' }] },
  };
  const all = { config, listenAddr, route, workers: 2, trust: 'unix:', accessLog: '/b', run: 'b' };
  t.match(await readOptions(all), {
    listen: [{ text: listenAddr, place: '--listen-addr' }],
    workers: 2,
    trustedProxies: ['::1', 'unix:'],
    accessLog: { to: '/b', format: 'combined' },
    routes: [
      { path: '/x', place: 'routes[0]' },
      { path: '/', place: `--route ${route}` },
    ],
    run: ['a', 'b'],
  });
  t.equal((await readOptions(all)).listen.length, 1);
});

t.test('what is wrong with flags names them', async (t) => {
  const cases: [GatewayOptions, string][] = [
    [{ listenAddr: 'x', route }, '--listen-addr: "x": no port; write HOST:PORT or [IPv6]:PORT'],
    [
      { listenAddr, route: '/' },
      '--route: /: not a route; write [HOST]/PATH=URL, as in /api=http://localhost:8080',
    ],
    [
      { listenAddr, route: '/=http://u:pw@a' },
      '--route /=http://***@a: "http://u:***@a": an upstream takes no password here; expected http://HOST[:PORT], https://HOST[:PORT] or unix:PATH',
    ],
    [
      { listenAddr, route: [route, 'a:1/=http://b'] },
      '--route a:1/=http://b: host a:1: expected a host name without a port, or one like *.example.com',
    ],
    [
      { listenAddr, route: [route, '/*=http://b'] },
      `--route /*=http://b: hidden by --route ${route}, which has the same host and path`,
    ],
    [
      { config: { port: 1, routes }, route },
      `--route ${route}: hidden by routes[0], which has the same host and path`,
    ],
    [
      { listenAddr, route, trust: '10/8' },
      '--trust: "10/8": expected a network like 10.0.0.0/8 or fd00::/8, or unix:',
    ],
    [
      { listenAddr, route, accessLog: 'tcp://a:1' },
      '--access-log: "tcp://a:1": tcp:// cannot be used here; write HOST:PORT or [IPv6]:PORT',
    ],
    [{ listenAddr, route, logFormat: 'json' }, '--log-format: there is no access log; give --access-log'],
    [{ listenAddr, route, workers: 0 }, '--workers: 0: not a whole number from 1 to 256'],
    [{ listenAddr, route, engine: 'x' }, '--engine: "x": expected one of auto, linux, node'],
    [{ listenAddr, route, allowTarget: 'x' }, '--allow-target: no host names a port; give --port-encoding'],
    [{ portEncoding: true, route }, 'port_encoding: routes are not used with it; give one of the two'],
    [{ portEncoding: 'a..b' }, '--port-encoding: "a..b": expected a domain like localhost'],
    [{ config: '' }, '--config: needs a value'],
    [{ route }, 'there is no listener; give listen, or host and port'],
  ];
  for (const [options, message] of cases)
    await t.rejects(readOptions(options), { code: 'MPROXY_USAGE', message }, message);
});

t.test('the JSON Schema in the package is that of the keys', async (t) => {
  const file = new URL('../../../packages/gateway/schema.json', import.meta.url);
  t.strictSame(
    JSON.parse(readFileSync(file, 'utf8')),
    JSON.parse(JSON.stringify(jsonSchema())),
    'npm run help writes it',
  );
});
