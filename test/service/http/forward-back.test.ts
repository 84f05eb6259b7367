import { forward } from 'mproxy-service/http/forward';
import { PATH_MAPPING, type PathMapping } from 'mproxy-service/http/path-mapping';
import { stack } from 'mproxy-service/service';
import t from 'tap';
import { ENGINES } from '../../net/engines.js';
import { ask, client, context, request } from '../exchanges.js';
import { ok, origin } from '../origin.js';

const { streams } = ENGINES[1]!;
const STRIPPED = { outer: '/api', inner: '' };
const ADDED = { outer: '', inner: '/v1' };
const REPLACED = { outer: '/api', inner: '/v1/x' };

t.test('Location is mapped back', async (t) => {
  const server = await origin(t);
  const http = client(t, streams, { upstreams: [server.url] });
  const cases: [string, string, PathMapping?][] = [
    ['http://UPSTREAM/a?b#c', 'http://example.com:8000/a?b#c'],
    ['HTTP://UPSTREAM/a', 'http://example.com:8000/a'],
    ['//UPSTREAM/a', 'http://example.com:8000/a'],
    ['http://UPSTREAM', 'http://example.com:8000/'],
    ['http://UPSTREAM?a', 'http://example.com:8000/?a'],
    ['http://UPSTREAM0/a', 'http://UPSTREAM0/a'],
    ['http://other.test/a', 'http://other.test/a', STRIPPED],
    ['http://example.com:8000/a', 'http://example.com:8000/a'],
    ['https://example.com:8000/a', 'https://example.com:8000/api/a', STRIPPED],
    ['http://UPSTREAM/a', 'http://example.com:8000/api/a', STRIPPED],
    ['/a', '/a'],
    ['/a', '/api/a', STRIPPED],
    ['/', '/api/', STRIPPED],
    ['/?a=/api', '/api/?a=/api', STRIPPED],
    ['/apix', '/api/apix', STRIPPED],
    ['/api/a', '/api/a', STRIPPED],
    ['/v1/a', '/a', ADDED],
    ['/v1', '/', ADDED],
    ['/v1?a', '/?a', ADDED],
    ['/v2/a', '/v2/a', ADDED],
    ['/v1/x/a', '/api/a', REPLACED],
    ['/v1/xy', '/v1/xy', REPLACED],
    ['a/b', 'a/b', STRIPPED],
    ['mailto:a@b', 'mailto:a@b', STRIPPED],
  ];
  const upstream = `127.0.0.1:${server.port}`;
  for (const [location, expected, mapping] of cases) {
    const given = location.replace('UPSTREAM', upstream);
    server.onVisit = (visit) => visit.answer(ok('', `Location: ${given}\r\n`));
    const how = context();
    if (mapping) how.set(PATH_MAPPING, mapping);
    const answer = await ask(http, request({ authority: 'example.com:8000' }), how).ended();
    t.equal(
      answer.field('location'),
      expected.replace('UPSTREAM', upstream),
      `${given} ${JSON.stringify(mapping)}`,
    );
  }
});

t.test('Domain and Path of Set-Cookie are mapped back', async (t) => {
  const server = await origin(t);
  const http = client(t, streams, { upstreams: [server.url] });
  const cases: [string, string, PathMapping?][] = [
    ['a=b; Domain=127.0.0.1; HttpOnly', 'a=b; Domain=example.com; HttpOnly'],
    ['a=b;domain=.127.0.0.1', 'a=b;domain=example.com'],
    ['a=b; Domain=other.test', 'a=b; Domain=other.test'],
    ['a=Path=/; Path=/x', 'a=Path=/; Path=/api/x', STRIPPED],
    ['a=b; path = /', 'a=b; path = /api', STRIPPED],
    ['a=b; Path=/api', 'a=b; Path=/api', STRIPPED],
    ['a=b; Path=/v1/x', 'a=b; Path=/api', REPLACED],
    ['a=b; Path=/v1', 'a=b; Path=/', ADDED],
    ['a=b; Path=', 'a=b; Path=', STRIPPED],
    ['a=b', 'a=b', STRIPPED],
  ];
  for (const [cookie, expected, mapping] of cases) {
    server.onVisit = (visit) => visit.answer(ok('', `Set-Cookie: c=d\r\nSet-Cookie: ${cookie}\r\n`));
    const how = context();
    if (mapping) how.set(PATH_MAPPING, mapping);
    const answer = await ask(http, request({ authority: 'Example.com:8000' }), how).ended();
    t.strictSame(
      answer.response!.fields.values('set-cookie'),
      ['c=d', expected],
      `${cookie} ${JSON.stringify(mapping)}`,
    );
  }
});

t.test('white space in Set-Cookie takes no time', async (t) => {
  const server = await origin(t);
  const cookie = `a=b; Path=/x${' '.repeat(30_000)}y`;
  server.onVisit = (visit) => visit.answer(ok('', `Set-Cookie: ${cookie}\r\n`));
  const http = client(t, streams, { upstreams: [server.url] });
  const before = process.cpuUsage();
  for (let i = 0; i < 10; i++)
    t.strictSame((await ask(http).ended()).response!.fields.values('set-cookie'), [cookie]);
  const { user } = process.cpuUsage(before);
  t.ok(user < 1_000_000, `${user} microseconds of CPU; the square of its length takes some seconds`);
});

t.test('what trusted proxies say of the scheme and the host counts, and it can be turned off', async (t) => {
  const server = await origin(t);
  server.onVisit = (visit) => visit.answer(ok('', `Location: ${server.url}/a\r\n`));
  const http = client(t, streams, { upstreams: [server.url] });
  const fields = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.test' };
  const trusting = stack([forward({ trusted: ['192.0.2.1'] })], http);
  t.equal((await ask(trusting, request({ fields })).ended()).field('location'), 'https://shop.test/a');
  const plain = client(t, streams, { upstreams: [server.url], mapsBack: false });
  t.equal((await ask(plain).ended()).field('location'), `${server.url}/a`);
});
