// Attacks on programs that read a message in two ways, by the names under which they are known, through the whole program: what it says.
import t from 'tap';
import { attack, get, proxied } from './attacks.js';
import { program } from './program.js';
import { rawClient } from './raw-client.js';
import { recordingOrigin } from './recording-origin.js';
import { origin } from './running.js';

t.test('Host confusion: a request goes where its host belongs, and says the same there', async (t) => {
  const [open, internal] = [await recordingOrigin(t), await recordingOrigin(t)];
  const gateway = await program(t, {
    routes: [
      { host: 'internal.test', path: '/', upstream: internal.url },
      { path: '/', upstream: open.url },
    ],
  });
  const confused: [string, number][] = [
    ['GET / HTTP/1.1\r\nHost: open.test\r\nHost: internal.test\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: open.test\r\n Host: internal.test\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost : internal.test\r\nHost: open.test\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: open.test, internal.test\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: open.test@internal.test\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: open.test:80@internal.test\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: internal.test#open.test\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: internal.test/open.test\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: internal.test\0open.test\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: open.test\r\nX-Forwarded-Host: internal.test\r\n\r\n', 200],
    ['GET / HTTP/1.1\r\nHost: open.test\r\nX-Host: internal.test\r\n\r\n', 200],
    ['GET http://open.test/ HTTP/1.1\r\nHost: internal.test\r\n\r\n', 200],
    ['GET @internal.test/ HTTP/1.1\r\nHost: open.test\r\n\r\n', 400],
  ];
  for (const [text, status] of confused) {
    const client = (await rawClient(t, gateway.port)).send(text);
    await client.answered();
    t.equal(client.statuses[0], status, text);
  }
  t.strictSame(internal.requests, []);
  for (const { head } of open.requests) t.notMatch(head.replace(/^x-host.*$/im, ''), /internal/i);
  for (const host of ['INTERNAL.test', 'internal.test.', 'internal.test:8080']) {
    const client = (await rawClient(t, gateway.port)).send(get('/', host));
    await client.answered();
    t.strictSame(internal.requests.at(-1)!.values('host'), [host], 'however it is written');
  }
});

t.test(
  'absolute-form: the authority of the target is the one that is routed and sent; its scheme proves nothing',
  async (t) => {
    const all = await proxied(t);
    const client = await attack(t, all, 'GET https://h.test/a HTTP/1.1\r\nHost: evil\r\n\r\n');
    await client.answered();
    const [received] = all.origin.requests;
    t.strictSame(received!.target, '/a');
    t.strictSame(received!.values('host'), ['h.test']);
    t.strictSame(received!.values('x-forwarded-host'), ['h.test']);
    t.strictSame(received!.values('x-forwarded-proto'), ['http'], 'the connection has no TLS');
    t.notMatch(received!.head, /evil/);
  },
);

t.test('spoofed fields of layers: trailers cannot bring what a layer sets or removes', async (t) => {
  const upstream = await origin(t, (request, response) => {
    request.resume().on('end', () => response.end(request.rawTrailers.join('=')));
  });
  const gateway = await program(t, {
    middlewares: [
      { type: 'request_id' },
      { type: 'headers', config: { request: { set: { 'X-Role': 'user' }, remove: ['X-Debug'] } } },
    ],
    routes: [{ path: '/', upstream }],
  });
  const names = ['X-Request-ID', 'x_request_id', 'X-Role', 'X_ROLE', 'x-debug', 'X_Debug'];
  const trailers = names.map((name) => `${name}: forged\r\n`).join('');
  const text = `PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n${trailers}X-Sum: 7\r\n\r\n`;
  const client = (await rawClient(t, gateway.port)).send(text);
  const [answer] = await client.answered();
  t.match(answer, { status: 200, body: /^x-sum=7$/i }, 'others pass');
});

t.test('Connection stripping: a client cannot have fields of the gateway removed', async (t) => {
  const all = await proxied(t);
  const named = 'close, X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, X-Forwarded-Host, Via, Cookie';
  const client = await attack(
    t,
    all,
    `GET / HTTP/1.1\r\nHost: h\r\nConnection: ${named}\r\nCookie: a\r\nVia: 1.0 evil\r\n\r\n`,
  );
  await client.answered();
  const [received] = all.origin.requests;
  t.strictSame(received!.values('x-forwarded-for'), ['127.0.0.1']);
  t.strictSame(received!.values('x-real-ip'), ['127.0.0.1']);
  t.strictSame(received!.values('x-forwarded-proto'), ['http']);
  t.strictSame(received!.values('x-forwarded-host'), ['h']);
  t.strictSame(received!.values('via'), ['1.1 mproxy']);
  t.strictSame(received!.values('cookie'), [], 'its own it can');
  t.strictSame(received!.values('connection'), []);
  for (const name of ['Host', 'Content-Length', 'X, host']) {
    const rejected = await attack(t, all, `GET / HTTP/1.1\r\nHost: h\r\nConnection: ${name}\r\n\r\n`);
    await rejected.ended();
    t.strictSame(rejected.statuses, [400], name);
  }
  t.equal(all.origin.requests.length, 1);
});

t.test(
  'path confusion: `..;`, `%2f`, `//`, `\\`: no path that another program reads as /admin reaches it by another route',
  async (t) => {
    const origin = await recordingOrigin(t);
    const gateway = await program(t, {
      routes: [
        { path: '/admin', respond: { status: 403, body: 'no' } },
        { path: '/', upstream: origin.url },
      ],
    });
    const paths = [
      '/public/..;/admin',
      '/public/..;a=b/admin/x',
      '/public/..%2fadmin',
      '/public/..%2Fadmin/',
      '/public/..%5cadmin',
      '/public/..\\admin',
      '/public\\..\\admin',
      '/public/%2e%2e%2fadmin',
      '/public/%252e%252e/admin',
      '/public/..%252fadmin',
      '/public/..%25252fadmin',
      '//admin',
      '///admin//x',
      '/%2fadmin',
      '/%5cadmin',
      '/.;/admin',
      '/;a/admin',
      '/admin;a',
      '/admin;a/x',
      '/admin%2fx',
      '/admin%3bx',
      '/admin\\x',
      '/%61%64min',
      '/%2561dmin',
      '/public/../admin',
      '/./admin',
      '/x/y/../../admin/x',
      '/public/%2e./admin',
    ];
    for (const path of paths) {
      const client = (await rawClient(t, gateway.port)).send(get(path));
      await client.answered();
      t.ok([400, 403].includes(client.statuses[0]!), `${path}: ${client.statuses}`);
    }
    t.strictSame(origin.requests, []);
    for (const [path, target] of [
      ['/public/%7ea/../b', '/public/b'],
      ['/public/a;b', '/public/a;b'],
      ['/public/a%2fb', '/public/a%2Fb'],
      ['/administrator', '/administrator'],
      ['/public//a', '/public//a'],
      ['/public?/../admin', '/public?/../admin'],
    ]) {
      const client = (await rawClient(t, gateway.port)).send(get(path!));
      await client.answered();
      t.equal(origin.requests.at(-1)!.target, target, `${path}`);
    }
  },
);

t.test('response splitting: no text of a request becomes a line of a response', async (t) => {
  const origin = await recordingOrigin(t);
  const gateway = await program(t, {
    routes: [
      { path: '/old', redirect: { strip_prefix: '/old', to: '/new' } },
      { path: '/regex', redirect: { regex: '^/regex/(.*)$', to: 'https://example.com/$1' } },
      { path: '/', upstream: origin.url },
    ],
  });
  const evil = '%0d%0aSet-Cookie:%20evil=1%0d%0a%0d%0aHTTP/1.1%20200%20OK';
  for (const path of [
    `/old/${evil}`,
    `/old?a=${evil}`,
    `/regex/${evil}`,
    '/old/%0aSet-Cookie:evil',
    '/regex/\u00e5\u008d\u008d',
  ]) {
    const client = (await rawClient(t, gateway.port)).send(get(path));
    await client.answered();
    t.equal(client.answers.length, 1, path);
    t.ok([302, 301, 307, 308, 400].includes(client.statuses[0]!), `${client.statuses}`);
    t.notMatch(client.text, /^(?:set-cookie|HTTP\/1\.1 200)/im);
  }
  // A response of an origin that lets it happen is invalid, or a whole one without what is behind it.
  const split = [
    ['HTTP/1.1 302 Found\r\nLocation: /a\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n', 502],
    ['HTTP/1.1 302 Found\r\nLocation: /a\nSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n', 502],
    [
      'HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n',
      302,
    ],
  ] as const;
  for (const [response, status] of split) {
    origin.onRequest = (received) => received.answer(response);
    const client = (await rawClient(t, gateway.port)).send(get('/a'));
    await client.answered();
    t.strictSame(client.statuses, [status]);
    t.notMatch(client.text, /evil/);
    origin.onRequest = (received) => received.answer('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nvictim');
    const victim = (await rawClient(t, gateway.port)).send(get('/b'));
    t.equal((await victim.answered())[0]!.body, 'victim', 'the next one gets its own');
  }
});

t.test(
  'spoofed forwarding fields, spelt with `_` too: none of a client reaches the origin, in its head or its trailers',
  async (t) => {
    const all = await proxied(t);
    const names = [
      'X-Forwarded-For',
      'X-Forwarded-Proto',
      'X-Forwarded-Host',
      'X-Forwarded-Prefix',
      'X-Forwarded-Port',
      'X-Real-IP',
      'Forwarded',
    ];
    const spellings = names.flatMap((name) => [
      name,
      name.toLowerCase(),
      name.replaceAll('-', '_'),
      name.replace('-', '_').toUpperCase(),
      name.replace(/-(?!.*-)/, '_'),
    ]);
    for (const name of new Set(spellings)) {
      const line = `${name}: evil\r\n`;
      const text = `POST / HTTP/1.1\r\nHost: h\r\n${line}${line}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n${line}\r\n`;
      const client = await attack(t, all, text);
      t.equal((await client.answered())[0]!.status, 200);
      const { head, body } = all.origin.requests.at(-1)!;
      t.equal(body, 'a');
      t.notMatch(head, /evil/, name);
    }
    t.strictSame(
      [...all.origin.unread.values()].filter((text) => text !== ''),
      [],
    );
    t.ok(all.origin.sockets.length <= 2, 'its framing is in order');
  },
);
