import { REDIRECT, redirect } from 'mproxy-service/layers/redirect';
import t from 'tap';
import { call, echo } from '../calls.js';
import { layerOf, problemsOf } from './tables.js';

t.test(
  'redirects to a URL or path, with what is left of the path, or with what was found in it',
  async (t) => {
    for (const [options, target, expected] of [
      [{ to: 'https://b.test/x' }, '/a?q', 'https://b.test/x'],
      [{ to: '/login' }, '/a?q', '/login'],
      [{ to: 'https://b.test', stripPrefix: '/' }, '/a/b?q=1', 'https://b.test/a/b?q=1'],
      [{ to: 'https://b.test/', stripPrefix: '/' }, '/', 'https://b.test/'],
      [{ to: '/new/', stripPrefix: '/old' }, '/old/x?q', '/new/x?q'],
      [{ to: '/new', stripPrefix: '/old' }, '/old', '/new'],
      [{ to: '/new?from=old', stripPrefix: '/old' }, '/old/x?q', '/new/x?from=old&q'],
      [{ to: '/new', stripPrefix: '/old' }, '/older', undefined],
      [{ to: '/posts/$1', regex: '^/([0-9]+)$' }, '/17?a', '/posts/17?a'],
      [
        { to: 'https://b.test/$<rest>?x=1', regex: '^/b/(?<rest>.*)$' },
        '/b/c/d?y=2',
        'https://b.test/c/d?x=1&y=2',
      ],
      [{ to: '/posts/$1', regex: '^/([0-9]+)$' }, '/x', undefined],
      [{ to: 'https://b.test', stripPrefix: '/' }, '*', undefined],
      // Never to a host that the client has named.
      [{ to: '/$1', regex: '^/r/(.*)$' }, '/r//evil.test/x', '/evil.test/x'],
      [{ to: '/', stripPrefix: '/r' }, '/r//evil.test', '/evil.test'],
      [{ to: '/$1', regex: '^/r/(.*)$' }, '/r/\\evil.test', '/evil.test'],
    ] as const) {
      const { status, fields, body } = await call(redirect(options)(echo), { target });
      t.equal(fields.location, expected, `${JSON.stringify(options)} ${target}`);
      t.equal(status, expected === undefined ? 200 : 302);
      t.equal(body, expected === undefined ? target : `redirected to ${expected}\n`);
    }
  },
);

t.test('its body is not waited for, and a path may be too long', async (t) => {
  let cancelled = false;
  const body = { length: 5, start() {}, pause() {}, resume() {}, cancel: () => (cancelled = true) };
  await call(redirect({ to: '/' })(echo), { method: 'POST', body: body as never });
  t.ok(cancelled);
  const long = { target: `/${'a'.repeat(1024)}` };
  t.match(await call(redirect({ to: '/', regex: '^/a' })(echo), long), { status: 414 });
  t.match(
    await call(redirect({ to: '/' })(echo), long),
    { status: 302 },
    'without a regular expression it may not',
  );
});

t.test('its table', async (t) => {
  const layer = layerOf(REDIRECT, { to: 'https://b.test/', status: 308 });
  t.match(await call(layer(echo)), { status: 308, fields: { location: 'https://b.test/' } });
  const expected = 'expected an http or https URL, or a path';
  for (const [config, problem] of [
    [{}, `config.to: it is missing; ${expected}`],
    [{ to: 'b.test' }, `config.to: "b.test": ${expected}`],
    [{ to: '//b.test' }, `config.to: "//b.test": ${expected}`],
    [{ to: '/\\b.test' }, `config.to: "/\\\\b.test": ${expected}`],
    [{ to: 'javascript:alert(1)' }, `config.to: "javascript:alert(1)": ${expected}`],
    [
      { to: '/a\r\nX: y' },
      `config.to: "/a\\r\\nX: y": it has characters that a URL may not have; ${expected}`,
    ],
    [
      { to: 'https://b.test$1', regex: '^(.*)$' },
      `config.to: "https://b.test$1": its host is not followed by a /; ${expected}`,
    ],
    [{ to: 'https://$1/', regex: '^/(.*)$' }, `config.to: "https://$1/": ${expected}`],
    [{ to: '/', status: 304 }, 'config.status: 304: expected 301, 302, 303, 307 or 308'],
    [{ to: '/', status: 200 }, 'config.status: 200: expected 301, 302, 303, 307 or 308'],
    [{ to: '/', regex: 'x' }, 'config.regex: "x": expected one that begins with ^'],
    [{ to: '/a#b', strip_prefix: '/x' }, 'config.to: "/a#b": a fragment cannot be followed by a path'],
    [{ to: '/', regex: '^/', strip_prefix: '/x' }, 'config: strip_prefix and regex exclude each other'],
  ] as const)
    t.strictSame(problemsOf(REDIRECT, config), [problem]);
});
