import { PATH_MAPPING } from 'mproxy-service/http/path-mapping';
import { REWRITE, rewrite } from 'mproxy-service/layers/rewrite';
import { stack } from 'mproxy-service/service';
import t from 'tap';
import { call, echo } from '../calls.js';
import { layerOf, problemsOf } from './tables.js';

t.test('prefixes: removed at segment boundaries, replaced, added', async (t) => {
  for (const [options, target, expected, outer, inner] of [
    [{ stripPrefix: '/api' }, '/api/x?q', '/x?q', '/api', ''],
    [{ stripPrefix: '/api' }, '/api', '/', '/api', ''],
    [{ stripPrefix: '/api' }, '/api?q', '/?q', '/api', ''],
    [{ stripPrefix: '/api' }, '/api/', '/', '/api', ''],
    [{ stripPrefix: '/api' }, '/apix', '/apix', undefined, undefined],
    [{ stripPrefix: '/api' }, '/api//x', '//x', '/api', ''],
    [{ stripPrefix: '/api/' }, '/api/x', '/x', '/api', ''],
    [{ stripPrefix: '/api/*' }, '/api/x', '/x', '/api', ''],
    [{ stripPrefix: '/t/:tenant' }, '/t/a%20b/x', '/x', '/t/a%20b', ''],
    [{ stripPrefix: '/api', addPrefix: '/v1' }, '/api/x', '/v1/x', '/api', '/v1'],
    [{ replacePrefix: '/api', addPrefix: '/v1' }, '/api', '/v1', '/api', '/v1'],
    [{ replacePrefix: '/api', addPrefix: '/' }, '/api/x', '/x', '/api', ''],
    [{ addPrefix: '/v1' }, '/x', '/v1/x', '', '/v1'],
    [{ addPrefix: '/v1/' }, '/', '/v1/', '', '/v1'],
    [{ stripPrefix: '/' }, '/x', '/x', '', ''],
    [{ addPrefix: '/v1' }, '*', '*', undefined, undefined],
  ] as const) {
    const what = `${JSON.stringify(options)} ${target}`;
    const { body, context, request } = await call(rewrite(options)(echo), { target });
    t.equal(body, expected, what);
    t.strictSame(context.get(PATH_MAPPING), outer === undefined ? undefined : { outer, inner }, what);
    const told = 'stripPrefix' in options && outer !== '' ? outer : undefined;
    t.equal(request.fields.get('x-forwarded-prefix'), told, what);
  }
});

t.test('one after the other, prefixes add up', async (t) => {
  const both = (first: string, second: string) =>
    stack([rewrite({ stripPrefix: first }), rewrite({ stripPrefix: second, addPrefix: '/in' })], echo);
  const { body, context, request } = await call(both('/a', '/b'), {
    target: '/a/b/c',
    fields: { 'x-forwarded-prefix': '/outer' },
  });
  t.equal(body, '/in/c');
  t.equal(request.fields.get('x-forwarded-prefix'), '/outer/a/b', 'behind that of a trusted proxy');
  t.strictSame(context.get(PATH_MAPPING), { outer: '/a/b', inner: '/in' });
  const added = stack([rewrite({ addPrefix: '/v1/x' }), rewrite({ stripPrefix: '/v1' })], echo);
  const second = await call(added, { target: '/c' });
  t.equal(second.body, '/x/c');
  t.strictSame(second.context.get(PATH_MAPPING), { outer: '', inner: '/x' });
});

t.test('a path that could be read so that it leaves the added prefix is refused', async (t) => {
  for (const [options, target, expected] of [
    [{ addPrefix: '/pub' }, '/..;/secret', 400],
    [{ addPrefix: '/pub' }, '/..%2fsecret', 400],
    [{ addPrefix: '/pub' }, '/a%5c..%5c..%5cpublic', 400],
    [{ replacePrefix: '/api', addPrefix: '/v1' }, '/api/..;x/y', 400],
    [{ addPrefix: '/pub' }, '/a/..;/b;c//d', '/pub/a/..;/b;c//d'],
    [{ addPrefix: '/pub' }, '/a%2F..', '/pub/a%2F..'],
    [{ addPrefix: '/a;b' }, '/c', '/a;b/c'],
  ] as const) {
    const { status, body } = await call(rewrite(options)(echo), { target });
    t.equal(status === 200 ? body : status, expected, `${JSON.stringify(options)} ${target}`);
  }
});

t.test('a regular expression: what it matches is replaced', async (t) => {
  for (const [regex, to, target, expected] of [
    ['^/old/(.*)$', '/new/$1', '/old/a/b?q=1', '/new/a/b?q=1'],
    ['^/old/(.*)$', '/new/$1', '/other', '/other'],
    ['^/u/(?<id>[0-9]+)', '/users/$<id>', '/u/7/x', '/users/7/x'],
    ['^/find/([^/]+)$', '/search?term=$1', '/find/a%20b?page=2', '/search?term=a%20b&page=2'],
    ['^/find/([^/]+)$', '/search?term=$1', '/find/a', '/search?term=a'],
    ['\\.php$', '', '/a.php', '/a'],
    // What is made is no path that a request could have had.
    ['^/x(.*)$', '/pub/.$1', '/x./secret', 400],
    ['^/x(.*)$', '$1', '/x', 400],
    ['^/x(.*)$', '$1', '/xy', 400],
    ['^/(.*)%(.*)$', '/$1%25$2', '/a%20b', '/a%2520b'],
    ['^/(.*)%(.*)$', '/$1%', '/a%20b', 400],
    ['^/a(..)', '/%$1', '/a00', 400],
    ['^/a(..)', '/%$1', '/azz', 400],
  ] as const) {
    const { status, body } = await call(rewrite({ regex, to })(echo), { target });
    t.equal(status === 200 ? body : status, expected, `${regex} ${to} ${target}`);
  }
  const long = await call(rewrite({ regex: '^/a', to: '/b' })(echo), { target: `/${'a'.repeat(1024)}` });
  t.match(long, { status: 414, body: 'path too long to be rewritten\n' });
  const both = rewrite({ stripPrefix: '/api', regex: '^/old', to: '/new' });
  t.match(await call(both(echo), { target: '/api/old/x' }), { body: '/new/x' }, 'prefixes come first');
});

t.test('its table', async (t) => {
  const layer = layerOf(REWRITE, { strip_prefix: '/api', add_prefix: '/v2' });
  t.match(await call(layer(echo), { target: '/api/x' }), { body: '/v2/x' });
  for (const [config, problem] of [
    [{}, 'config: it changes nothing; expected strip_prefix, add_prefix, or regex and to'],
    [{ regex: '^/a' }, 'config: regex is there alone; expected regex and to'],
    [{ to: '/a' }, 'config: to is there alone; expected regex and to'],
    [
      { strip_prefix: 'api' },
      'config.strip_prefix: "api": it does not begin with /; expected a path like /api',
    ],
    [
      { add_prefix: '/a/../b' },
      'config.add_prefix: "/a/../b": it is no normalised path; expected a path like /v1',
    ],
    [{ regex: '^/a', to: '/b#c' }, 'config.to: "/b#c": it has a fragment; expected a path like /new/$1'],
    [
      { regex: '^/(a+)+$', to: '/' },
      'config.regex: "^/(a+)+$": a group is repeated, which may take for ever; repeat single characters; expected a regular expression like ^/old/(.*)$',
    ],
  ] as const)
    t.strictSame(problemsOf(REWRITE, config), [problem]);
});
