import { setImmediate as turn } from 'node:timers/promises';
import { HttpResponse } from 'mproxy-service';
import t from 'tap';
import { echo, MemoryServer } from './memory-connection.js';

const GET = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n';
const TYPE = 'content-type: text/plain; charset=utf-8\r\n';

function answer(status: string, text: string, connection = ''): string {
  const last = connection && `Connection: ${connection}\r\n`;
  return `HTTP/1.1 ${status}\r\n${TYPE}Content-Length: ${text.length}\r\n${last}\r\n${text}`;
}

const ok = (text: string, connection?: string) => answer('200 OK', `${text}\n`, connection);
const bad = (text: string, status = '400 Bad Request') => answer(status, `${text}\n`, 'close');

/** What a client sends, what it gets, and what becomes of the connection then. */
const CASES: [name: string, sent: string, received: string, ends: string][] = [
  ['a request', GET, ok('GET /a '), ''],
  [
    'pipelined requests, in their order',
    GET + GET.replace('/a', '/b?q'),
    ok('GET /a ') + ok('GET /b?q '),
    '',
  ],
  [
    'a body of known length, and a request behind it',
    `POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc${GET}`,
    ok('POST /p abc') + ok('GET /a '),
    '',
  ],
  ['an empty body', 'POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n', ok('POST /p '), ''],
  [
    'a body in chunks with trailers, and a request behind it',
    `POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n${GET}`,
    ok('POST /p abcde[["t","v"]]') + ok('GET /a '),
    '',
  ],
  [
    'Connection: close',
    GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'),
    ok('GET /a ', 'close'),
    'close',
  ],
  [
    'what comes behind Connection: close is not read, and does not reset the response',
    GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n') + GET,
    ok('GET /a ', 'close'),
    'linger 5000',
  ],
  ['HTTP/1.0', 'GET /a HTTP/1.0\r\n\r\n', ok('GET /a ', 'close'), 'close'],
  [
    'HTTP/1.0 with keep-alive',
    'GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'.repeat(2),
    ok('GET /a ', 'keep-alive').repeat(2),
    '',
  ],
  [
    'an earlier response is delivered before a 400 closes',
    `${GET}GET /b\r\n\r\n${GET}`,
    ok('GET /a ') + bad('invalid byte in the request target'),
    'linger 5000',
  ],
  [
    'an invalid chunk',
    'POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX',
    bad('chunk data without CRLF'),
    'linger 5000',
  ],
  [
    'both lengths',
    `POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${GET}`,
    bad('Content-Length and Transfer-Encoding'),
    'linger 5000',
  ],
  [
    'TRACE',
    'TRACE / HTTP/1.1\r\nHost: h\r\n\r\n',
    bad('method not allowed', '405 Method Not Allowed').replace(
      '\r\nContent-L',
      '\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\nContent-L',
    ),
    'linger 5000',
  ],
];

async function send(pieces: string[]): Promise<MemoryServer> {
  const server = new MemoryServer(echo);
  for (const piece of pieces) {
    if (piece !== '') server.connection.receive(piece);
    await turn();
  }
  await turn();
  return server;
}

for (const [name, sent, received, ends] of CASES) {
  t.test(`${name}: whole, byte by byte, and cut at every position`, async (t) => {
    const whole = await send([sent]);
    t.equal(whole.text, received);
    t.equal(whole.ends, ends);
    const wrong: unknown[] = [];
    for (let at = 1; at <= sent.length; at++) {
      const pieces = at === sent.length ? [...sent] : [sent.slice(0, at), sent.slice(at)];
      const cut = await send(pieces);
      // Cut behind it, the last request is answered before it is known that more comes.
      const sameEnd = cut.ends === ends || (ends.startsWith('linger') && cut.ends === 'close');
      if (cut.text !== received || !sameEnd) wrong.push([at, cut.text, cut.ends]);
      if (cut.errors.length > 0) wrong.push([at, cut.errors]);
    }
    t.strictSame(wrong, []);
  });
}

t.test('responses of one call are sent together', (t) => {
  const server = new MemoryServer({ call: (request) => HttpResponse.text(200, request.path) });
  server.connection.receive(GET.repeat(3));
  t.equal(server.connection.sends.length, 1);
  t.equal(server.text, answer('200 OK', '/a').repeat(3));
  t.equal(server.outcomes.length, 3);
  t.end();
});

t.test('what one connection has sent wrong does not concern the next', (t) => {
  const server = new MemoryServer({ call: (request) => HttpResponse.text(200, request.path) });
  const long = `GET /${'x'.repeat(9000)}`;
  for (const wrong of [long, 'x y\r\n', 'GET / HTTP/1.1\r\nHost : h\r\n', 'GET / HTTP/2.0\r\n\r\n', '\r\r']) {
    const other = server.connect();
    other.receive(wrong);
    t.match(other.text, /^HTTP\/1.1 [45]/, wrong.slice(0, 20));
    const next = server.connect();
    next.receive(GET);
    t.match(next.text, /^HTTP\/1.1 200 /);
    const half = server.connect();
    half.receive(GET.slice(0, 20));
    next.receive(GET);
    t.match(next.text, /200 [\s\S]*200 /);
    half.receive(GET.slice(20));
    t.match(half.text, /^HTTP\/1.1 200 /);
  }
  t.end();
});
