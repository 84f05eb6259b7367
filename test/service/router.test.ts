import { HttpResponse } from 'mproxy-service/http/message';
import { PATH_PARAMETERS, type RouteTarget, router } from 'mproxy-service/router';
import { type RouteRule, RouteTable } from 'mproxy-service/routing/route-table';
import t from 'tap';
import { Random } from '../support/random.js';
import { call, type Given } from './calls.js';

type Rule = Omit<Partial<RouteRule<RouteTarget>>, 'value'>;

/** A router whose services answer with the names of their rules: by default host and path. */
function routes(...rules: (Rule | string)[]) {
  return router(
    rules.map((rule, i) => {
      const { host, path = '/', methods } = typeof rule === 'string' ? { path: rule } : rule;
      const name = `${methods?.join('+') ?? ''}${methods ? ' ' : ''}${host ?? ''}${path}`;
      const value = { name, service: { call: () => HttpResponse.text(200, name) } };
      return { place: `routes[${i}]`, host, path, methods, value };
    }),
  );
}

async function found(service: ReturnType<typeof routes>, given: Given): Promise<string | number> {
  const { status, body, context } = await call(service, given);
  if (status !== 200) return status;
  t.equal(context.route, body, 'the context names the route');
  return body;
}

t.test('the host comes first, exact before the longest wildcard before all others', async (t) => {
  const service = routes(
    { host: 'example.com', path: '/' },
    { host: 'Example.ORG.', path: '/' },
    { host: '*.example.com', path: '/' },
    { host: '*.b.example.com', path: '/' },
    { host: 'x.b.example.com', path: '/only' },
    { host: '[::1]', path: '/' },
    { path: '/other' },
  );
  for (const [host, target, expected] of [
    ['example.com', '/', 'example.com/'],
    ['example.org', '/', 'Example.ORG./'],
    ['a.example.com', '/', '*.example.com/'],
    ['a.c.example.com', '/', '*.example.com/'],
    ['b.example.com', '/', '*.example.com/'],
    ['a.b.example.com', '/', '*.b.example.com/'],
    ['.example.com', '/', 404],
    ['notexample.com', '/', 404],
    ['com', '/', 404],
    ['[::1]', '/', '[::1]/'],
    ['elsewhere.test', '/other', '/other'],
    // A host that has routes has no others.
    ['x.b.example.com', '/only', 'x.b.example.com/only'],
    ['x.b.example.com', '/other', 404],
    ['example.com', '/other', 'example.com/'],
  ] as const)
    t.equal(await found(service, { host, target }), expected, `${host}${target}`);
});

t.test('then the longest path that ends where a segment ends', async (t) => {
  const service = routes(
    '/api',
    '/api/v1',
    '/api-docs',
    '/api/v1/users/',
    '/a/*',
    '/a/b',
    '/x%7ey',
    '/d/e/f',
  );
  for (const [target, expected] of [
    ['/', 404],
    ['/api', '/api'],
    ['/api/', '/api'],
    ['/api/x', '/api'],
    ['/apix', 404],
    ['/api-docs/x', '/api-docs'],
    ['/api-doc', 404],
    ['/api.x', 404],
    ['/api/v1', '/api/v1'],
    ['/api/v1.2', '/api'],
    ['/api/v1/users', '/api/v1'],
    ['/api/v1/users/', '/api/v1/users/'],
    ['/api/v1/users/7', '/api/v1/users/'],
    ['/a', '/a/*'],
    ['/a/c', '/a/*'],
    ['/a/b/c', '/a/b'],
    ['/A/b', 404],
    ['/x~y', '/x%7ey'],
    ['/d/e', 404],
    ['*', 404],
  ] as const)
    t.equal(await found(service, { target }), expected, target);
  t.equal(
    await found(routes('/', '/a'), { target: '*', method: 'OPTIONS' }),
    '/',
    'OPTIONS * goes to the root',
  );
});

t.test('a :name stands for one segment, and loses against an equal path without it', async (t) => {
  const service = routes('/', '/u/:id', '/u/me', '/u/:id/posts', '/u/:id/posts/:post', '/:x/b', '/a/:y');
  for (const [target, expected, parameters] of [
    ['/u/7', '/u/:id', { id: '7' }],
    ['/u/%C3%A9/x', '/u/:id', { id: '%C3%A9' }],
    ['/u/me', '/u/me', undefined],
    ['/u/me/x', '/u/me', undefined],
    ['/u/me/posts', '/u/:id/posts', { id: 'me' }],
    ['/u/7/posts/9/x', '/u/:id/posts/:post', { id: '7', post: '9' }],
    ['/u/', '/', undefined],
    ['/u//x', 400, undefined],
    ['/a/b', '/a/:y', { y: 'b' }],
    ['/z/b', '/:x/b', { x: 'z' }],
    ['/z', '/', undefined],
  ] as const) {
    const { status, body, context } = await call(service, { target });
    t.equal(status === 200 ? body : status, expected, target);
    t.strictSame(context.get(PATH_PARAMETERS), parameters, target);
  }
});

t.test('then the method: 405 with Allow, and no shorter path instead', async (t) => {
  const service = routes(
    '/',
    { path: '/r', methods: ['GET', 'POST'] },
    { path: '/s', methods: ['GET'] },
    { path: '/s', methods: ['PUT', 'HEAD'] },
    { path: '/t', methods: ['GET'] },
    { path: '/t' },
  );
  for (const [method, target, expected, allow] of [
    ['GET', '/r', 'GET+POST /r', undefined],
    ['HEAD', '/r', 'GET+POST /r', undefined],
    ['DELETE', '/r', 405, 'GET, HEAD, POST'],
    ['get', '/r', 405, 'GET, HEAD, POST'],
    ['HEAD', '/s', 'PUT+HEAD /s', undefined],
    ['POST', '/s', 405, 'GET, HEAD, PUT'],
    ['HEAD', '/t', 'GET /t', undefined],
    ['POST', '/t', '/t', undefined],
  ] as const) {
    const { status, body, fields } = await call(service, { method, target });
    t.equal(status === 200 ? body : status, expected, `${method} ${target}`);
    t.equal(fields.allow, allow, `${method} ${target}`);
  }
});

t.test('a path that could be read so that it takes another route is refused', async (t) => {
  const service = routes('/', '/admin', '/a/b');
  for (const [target, expected] of [
    ['/%2Fadmin', 400],
    ['//admin', 400],
    ['/x%2F..%2Fadmin', 400],
    ['/x/..;/admin', 400],
    ['/admin;x=1', 400],
    ['/%5Cadmin', 400],
    ['/a%2Fb', 400],
    ['/a%252Fb', 400],
    ['/admin/%2e%2e;/x', 400],
    // These take the same route, however they are read.
    ['/x//y', '/'],
    ['/x;v=1/y', '/'],
    ['/admin/a%2Fb', '/admin'],
  ] as const)
    t.equal(await found(service, { target }), expected, target);
  const [refused, missing] = [await call(service, { target: '//admin' }), await call(routes('/a'), {})];
  t.equal(refused.body, 'ambiguous path\n');
  t.match(missing, { status: 404, body: 'no route for this host and path\n' });
  t.equal(await found(routes('/admin'), { target: '/%2Fadmin' }), 400, 'without any route as it is written');
});

t.test('a rule that is none, or that another one hides, is an error that names both', (t) => {
  const problem = (...rules: Rule[]) => {
    try {
      routes(...rules);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  };
  const hidden = 'routes[1]: hidden by routes[0], which has the same host and path';
  const host = (given: string) =>
    `routes[0]: host ${given}: expected a host name without a port, or one like *.example.com`;
  for (const [rules, expected] of [
    [[{ path: '/a' }, { path: '/a' }], hidden],
    [[{ path: '/a' }, { path: '/a/*' }], hidden],
    [[{ path: '/' }, { path: '/*' }], hidden],
    [[{ path: '/a' }, { path: '/%61' }], hidden],
    [[{ path: '/:a/x' }, { path: '/:b/x' }], hidden],
    [[{ host: 'A.test' }, { host: 'a.test.' }], hidden],
    [
      [{ methods: ['GET', 'PUT'] }, { methods: ['POST', 'PUT'] }],
      hidden.replace('host and path', 'host, path and method PUT'),
    ],
    [[{ methods: ['GET'] }, {}], undefined],
    [[{ methods: ['GET'] }, { methods: ['HEAD'] }], undefined],
    [[{ host: 'a.test' }, { host: '*.test' }, {}], undefined],
    [[{ path: '/a' }, { path: '/a/' }, { path: '/:b' }], undefined],
    [[{ host: 'a.test:80' }], host('a.test:80')],
    [[{ host: '*' }], host('*')],
    [[{ host: 'a.*.test' }], host('a.*.test')],
    [[{ path: 'a' }], 'routes[0]: path a: it does not begin with /'],
    [[{ path: '/%zz' }], 'routes[0]: path /%zz: invalid percent-escape in the path'],
    [[{ path: '/a//b' }], 'routes[0]: path /a//b: some programs read it as /a/b; such requests are refused'],
    [[{ path: '/:a/:a' }], 'routes[0]: path /:a/:a: :a is there twice'],
    [[{ path: '/:a-b' }], 'routes[0]: path /:a-b: :a-b is no name: letters, digits and _'],
  ] as [Rule[], string | undefined][])
    t.equal(problem(...rules), expected, JSON.stringify(rules));
  const table = new RouteTable([
    { place: 'a', path: '/x', value: 1 },
    { place: 'b', path: 'x', value: 2 },
    { place: 'c', path: '/x', value: 3 },
  ]);
  t.strictSame(
    table.problems.map(({ place }) => place),
    ['b', 'c'],
    'all of them are found',
  );
  t.end();
});

t.test('random rules: what is found is what a look at each rule finds', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const segment = (names: boolean) => random.pick(['a', 'b', 'aa', 'a-', 'a.', ...(names ? [':n'] : [])]);
  const path = (names: boolean) =>
    `/${Array.from({ length: random.integer(0, 4) }, () => segment(names)).join('/')}`;
  for (let round = 0; round < 500; round++) {
    const shapes = new Set(Array.from({ length: random.integer(1, 12) }, () => path(true)));
    const rules = [...shapes].map((shape) => ({
      place: shape,
      path: shape.replace(/:n/g, () => `:n${random.integer(0, 1e9)}`),
      value: shape,
    }));
    const table = new RouteTable(rules);
    t.strictSame(table.problems, []);
    for (let i = 0; i < 20; i++) {
      const target = path(false);
      const entry = table.find('any.test', target);
      const expected = longest([...shapes], target);
      if (entry?.value.find('GET')?.value !== expected)
        t.equal(entry?.value.find('GET')?.value, expected, `${[...shapes].join(' ')} for ${target}`);
    }
  }
  t.end();
});

/** The shape with the most segments; among these, the first one in which the first different segment is no name. */
function longest(shapes: string[], target: string): string | undefined {
  const segments = target.slice(1).split('/');
  const split = (shape: string) => (shape === '/' ? [] : shape.slice(1).split('/'));
  const matching = shapes.filter((shape) =>
    split(shape).every((one, i) => (one === ':n' ? !!segments[i] : segments[i] === one)),
  );
  const rank = (shape: string) => {
    const own = split(shape);
    return `${own.length}${own.map((one) => (one === ':n' ? 0 : 1)).join('')}`;
  };
  return matching.toSorted((one, other) => (rank(one) < rank(other) ? 1 : -1))[0];
}
