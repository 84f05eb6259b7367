import { normalPath, otherReading, parseAuthority, Rejection } from 'mproxy-http';
import t from 'tap';

t.test('a path has one form', (t) => {
  const normal: Record<string, string> = {
    '/': '/',
    '/a/b.c/~d-e_f': '/a/b.c/~d-e_f',
    '/%7Euser/%2D%2e%5f%41%7a%30': '/~user/-._Az0',
    '/%2f%3a%c3%a9%20': '/%2F%3A%C3%A9%20',
    '/%25%32%66': '/%252f',
    '/a//b/': '/a//b/',
    '/.': '/',
    '/a/.': '/a/',
    '/./a': '/a',
    '/a/./b': '/a/b',
    '/a/..': '/',
    '/a/b/..': '/a/',
    '/a/../b': '/b',
    '/a/b/../../c': '/c',
    '/a//../b': '/a/b',
    '/a/%2e%2E/b': '/b',
    '/a/.%2e': '/',
    '/%2e': '/',
    '/...': '/...',
    '/.a/..b/c..': '/.a/..b/c..',
    '/a/..;/b': '/a/..;/b',
    '/a\\..\\b': '/a\\..\\b',
    '/a/..%2fb': '/a/..%2Fb',
    '/a;b=c,d:e@f!$&()*+=\'"<>[]^`{|}': '/a;b=c,d:e@f!$&()*+=\'"<>[]^`{|}',
  };
  for (const [path, expected] of Object.entries(normal)) {
    t.equal(normalPath(path), expected, path);
    t.equal(normalPath(expected), expected, `${path}, again`);
  }
  t.end();
});

t.test('paths that are rejected', (t) => {
  const invalid: Record<string, string> = {
    '': 'invalid path',
    a: 'invalid path',
    '*': 'invalid path',
    '/a b': 'invalid path',
    '/a\tb': 'invalid path',
    '/a\x7f': 'invalid path',
    '/\xe9': 'invalid path',
    '/\0': 'invalid path',
    '/a#b': 'invalid path',
    '/a?b': 'invalid path',
    '/%': 'invalid percent-escape in the path',
    '/%4': 'invalid percent-escape in the path',
    '/%4g': 'invalid percent-escape in the path',
    '/%%41': 'invalid percent-escape in the path',
    '/%u0041': 'invalid percent-escape in the path',
    '/%00': 'NUL in the path',
    '/a%00.png': 'NUL in the path',
    '/..': 'path above the root',
    '/a/../..': 'path above the root',
    '/../a': 'path above the root',
    '/%2e%2e/a': 'path above the root',
    '/./../a': 'path above the root',
  };
  for (const [path, reason] of Object.entries(invalid)) {
    const result = normalPath(path);
    t.match(result, { status: 400, reason }, JSON.stringify(path));
    t.ok(result instanceof Rejection);
  }
  t.end();
});

t.test('what a less careful program reads', (t) => {
  const readings: Record<string, string | undefined> = {
    '/': undefined,
    '/a/b': undefined,
    '/a/b/': undefined,
    '/a//b': '/a/b',
    '//a': '/a',
    '/a//': '/a/',
    '/a\\b': '/a/b',
    '/a/..;/b': '/b',
    '/a/..;x=y/b': '/b',
    '/a;x/b;y': '/a/b',
    '/a;/': '/a/',
    '/a/..%2Fb': '/b',
    '/a%2Fb': '/a/b',
    '/a/..%5Cb': '/b',
    '/a/%252e%252e/b': '/b',
    '/a/%25252e%25252e%25252fb': '/b',
    '/%252f': '/',
    '/a/%3B/b': '/a/b',
    '/a/..%3B/b': '/b',
    '/a/.;/b': '/a/b',
    '/a/..%2F..%2F..%2Fb': '/b',
    '/%C3%A9': '/\xc3\xa9',
    '/%2532F': '/2F',
    '/a/..\\..\\b': '/b',
    '/a/b/..;': '/a/',
  };
  for (const [path, other] of Object.entries(readings)) {
    t.equal(normalPath(path), path, `${path} is normal`);
    t.equal(otherReading(path), other, path);
  }
  t.end();
});

t.test('a path of nested escapes takes no long time', (t) => {
  const before = process.cpuUsage();
  t.equal(otherReading(`/%${'25'.repeat(4000)}41`), '/A');
  t.ok(process.cpuUsage(before).user < 200_000, 'less than 200 ms');
  t.end();
});

t.test('hosts and ports', (t) => {
  const valid: Record<string, [string, number | undefined]> = {
    'Example.COM': ['example.com', undefined],
    'example.com:80': ['example.com', 80],
    'example.com.:080': ['example.com', 80],
    'a_b-c~d.e': ['a_b-c~d.e', undefined],
    '127.0.0.1:65535': ['127.0.0.1', 65535],
    '[::1]': ['[::1]', undefined],
    '[2001:DB8::A]:0': ['[2001:db8::a]', 0],
    '[::ffff:1.2.3.4]:1': ['[::ffff:1.2.3.4]', 1],
    xn: ['xn', undefined],
  };
  for (const [text, [host, port]] of Object.entries(valid))
    t.strictSame(parseAuthority(text), { host, port }, text);
  const invalid = [
    '',
    '.',
    '..',
    ':80',
    'a:',
    'a:65536',
    'a:123456',
    'a:b',
    'a:80:80',
    'a:+80',
    'a b',
    ' a',
    'a,b',
    'a/b',
  ];
  const more = [
    'a\\b',
    'u@a',
    'a?b',
    'a#b',
    'a%41',
    'a*',
    '*.a',
    '.a',
    'a..b',
    'a..',
    '[::1',
    '::1',
    '[::1]a',
    '[g::]',
    '[]',
  ];
  const most = [
    '[::1%25eth0]',
    '[1.2.3.4]',
    '[v1.a]',
    '\xe9',
    'a\0',
    'a\n',
    '"a"',
    'a;b',
    "a'b",
    'a&b',
    'a=5000',
    '0.0.0.0=5000',
  ];
  for (const text of [...invalid, ...more, ...most])
    t.equal(parseAuthority(text), undefined, JSON.stringify(text));
  t.end();
});
