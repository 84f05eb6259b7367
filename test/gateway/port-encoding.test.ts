import type { PortEncodingConfig } from 'mproxy-gateway/config/types';
import { isLoopback, portTarget } from 'mproxy-gateway/port-encoding';
import t from 'tap';

const SUFFIXES = ['localhost', 'domain.com'];
const ALLOWED: PortEncodingConfig['allowTargets'] = [
  { host: 'example.com', ports: undefined },
  { host: 'db', ports: { from: 22, to: 80 } },
];

const NO_PORT = { status: 404 };
const ELSEWHERE = { status: 421 };
const LOW = { status: 403 };
const to = (host: string, port: number, isAllowed = false) => ({ host, port, isAllowed });

const CASES: [host: string, target: object][] = [
  ['3000.localhost', to('localhost', 3000)],
  ['3000.domain.com', to('localhost', 3000)],
  ['localhost--3000.localhost', to('localhost', 3000)],
  ['api--3001.localhost', to('api', 3001)],
  ['example.com--3000.domain.com', to('example.com', 3000, true)],
  ['example.org--3000.domain.com', to('example.org', 3000)],
  ['127.0.0.1--3000.localhost', to('127.0.0.1', 3000)],
  ['a--b--3000.localhost', to('a--b', 3000)],
  ['a--1--3000.localhost', to('a--1', 3000)],
  ['a--3000x--3001.localhost', to('a--3000x', 3001)],
  ['app--1024.localhost', to('app', 1024)],
  ['app--65535.localhost', to('app', 65_535)],
  ['app--22.localhost', LOW],
  ['app--1023.localhost', LOW],
  ['80.localhost', LOW],
  ['example.com--80.domain.com', LOW],
  ['db--22.localhost', to('db', 22, true)],
  ['db--80.localhost', to('db', 80, true)],
  ['db--81.localhost', LOW],
  ['db--3000.localhost', to('db', 3000)],
  ['app--3000.other.test', ELSEWHERE],
  ['app--3000.x.localhost', ELSEWHERE],
  ['app--3000--3001.x.localhost', ELSEWHERE],
  // The first port counts: what follows it is no suffix.
  ['a--3000.b--3001.localhost', ELSEWHERE],
  ['app--3000', ELSEWHERE],
  ['3000', ELSEWHERE],
  ['127.0.0.1', ELSEWHERE],
  ['[::1]', ELSEWHERE],
  ['', ELSEWHERE],
  ['notlocalhost', ELSEWHERE],
  ['app.localhost', NO_PORT],
  ['localhost', NO_PORT],
  ['domain.com', NO_PORT],
  ['app--.localhost', NO_PORT],
  ['--3000.localhost', NO_PORT],
  ['app--03000.localhost', NO_PORT],
  ['app--65536.localhost', NO_PORT],
  ['app--0.localhost', NO_PORT],
  ['0.localhost', NO_PORT],
  ['99999.localhost', NO_PORT],
];

t.test('the target that a host names', async (t) => {
  for (const [host, target] of CASES)
    t.match(portTarget(host, { suffixes: SUFFIXES, allowTargets: ALLOWED }), target, host);
});

t.test('loopback addresses', async (t) => {
  for (const ip of ['127.0.0.1', '127.255.255.254', '::1']) t.ok(isLoopback(ip), ip);
  for (const ip of [
    '0.0.0.0',
    '128.0.0.1',
    '10.127.0.1',
    '::',
    '::2',
    'fe80::1',
    '127.0.0.1.a.test',
    'localhost',
    '',
  ])
    t.notOk(isLoopback(ip), ip);
});
