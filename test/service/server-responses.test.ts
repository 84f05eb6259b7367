import { Fields } from 'mproxy-http';
import { type BodySink, BytesBody, type HttpContext, HttpResponse, Pending, service } from 'mproxy-service';
import t from 'tap';
import { ManualBody, MemoryServer } from './memory-connection.js';

const get = (method = 'GET', version = '1.1', more = '') =>
  `${method} / HTTP/${version}\r\nHost: h\r\n${more}\r\n`;
const KEPT = 'Connection: keep-alive\r\n';

function serve(response: () => HttpResponse, options = {}): MemoryServer {
  return new MemoryServer(service(response), options);
}

function streaming(body: ManualBody, status = 200): MemoryServer {
  return serve(() => new HttpResponse(status, Fields.of({ a: 'b' }), body));
}

const bytes = (text: string) => new BytesBody(Buffer.from(text));

/** What a service returns, and what is sent. */
const CASES: [
  name: string,
  response: (fields: Record<string, string>) => HttpResponse,
  sent: string,
  received: string,
][] = [
  [
    'no body',
    () => new HttpResponse(200, new Fields(), undefined),
    get(),
    'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  ],
  [
    'HEAD: the length of the body, and no body',
    () => new HttpResponse(200, new Fields(), bytes('four')),
    get('HEAD'),
    'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n',
  ],
  [
    'HEAD: the length that the service says',
    () => new HttpResponse(200, Fields.of({ 'content-length': '9' }), undefined),
    get('HEAD'),
    'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n',
  ],
  [
    'HEAD without a known length',
    () => new HttpResponse(200, new Fields(), new ManualBody()),
    get('HEAD'),
    'HTTP/1.1 200 OK\r\n\r\n',
  ],
  [
    '204 has no length',
    () => new HttpResponse(204, new Fields(), bytes('no')),
    get(),
    'HTTP/1.1 204 No Content\r\n\r\n',
  ],
  [
    '304 has the length of what it is about',
    () => new HttpResponse(304, Fields.of({ 'content-length': '9' }), bytes('no')),
    get(),
    'HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n',
  ],
  [
    'a Content-Length of the service beside a body is left out',
    () => new HttpResponse(200, Fields.of({ 'content-length': '9', a: 'b' }), bytes('four')),
    get(),
    'HTTP/1.1 200 OK\r\na: b\r\nContent-Length: 4\r\n\r\nfour',
  ],
  [
    'a status outside 200 to 599',
    () => new HttpResponse(101, new Fields(), undefined),
    get(),
    'HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\nContent-Length: 15\r\n\r\ninternal error\n',
  ],
];

for (const [name, response, sent, received] of CASES) {
  t.test(name, (t) => {
    const server = serve(() => response({}));
    server.connection.receive(sent + sent);
    t.equal(server.text, received.repeat(2), 'and the connection goes on');
    t.equal(server.ends, '');
    t.equal(server.outcomes.length, 2);
    t.end();
  });
}

t.test('Date is added, unless it is there', (t) => {
  const dated = serve(() => new HttpResponse(200, Fields.of({ date: 'then' }), undefined));
  dated.connection.receive(get());
  t.equal(dated.connection.text, 'HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 0\r\n\r\n');
  const plain = serve(() => new HttpResponse(200, new Fields(), undefined));
  plain.connection.receive(get());
  const date = /^Date: (.*)\r$/m.exec(plain.connection.text)![1]!;
  t.ok(Math.abs(Date.parse(date) - Date.now()) < 5000, date);
  t.end();
});

t.test('a body of unknown length is sent in chunks as it comes, with its trailers', (t) => {
  const body = new ManualBody();
  const server = streaming(body);
  server.connection.receive(get());
  t.equal(
    server.text,
    'HTTP/1.1 200 OK\r\na: b\r\nTransfer-Encoding: chunked\r\n\r\n',
    'the head does not wait',
  );
  body.push('0123456789abcdef');
  body.sink!.onData(Buffer.alloc(0));
  t.match(server.text, /\r\n\r\n10\r\n0123456789abcdef\r\n$/, 'an empty piece is no last chunk');
  body.push('x'.repeat(20_000));
  t.equal(server.outcomes.length, 0);
  body.sink!.onEnd(Fields.of({ t: 'v' }));
  t.match(server.text, /x\r\n0\r\nt: v\r\n\r\n$/);
  t.equal(server.text.includes('def\r\n4e20\r\nxx'), true);
  t.match(server.outcomes, [{ status: 200, sent: 20_016, cut: undefined }]);
  t.equal(server.ends, '');
  t.end();
});

t.test('to HTTP/1.0 it ends with the connection', (t) => {
  const body = new ManualBody();
  const server = streaming(body);
  server.connection.receive(get('GET', '1.0', KEPT));
  body.push('abc');
  body.sink!.onEnd(Fields.of({ t: 'v' }));
  t.equal(server.text, 'HTTP/1.1 200 OK\r\na: b\r\nConnection: close\r\n\r\nabc');
  t.equal(server.ends, 'close');
  t.end();
});

t.test('head and body that are there are sent together', (t) => {
  const server = serve(() => new HttpResponse(200, new Fields(), bytes('x'.repeat(10_000))));
  server.connection.receive(get());
  t.equal(server.connection.sends.length, 1);
  t.end();
});

for (const [how, version, length, ends] of [
  ['in chunks', '1.1', undefined, 'close'],
  ['of known length', '1.1', 10, 'close'],
  ['to HTTP/1.0, without a length', '1.0', undefined, 'abort'],
] as const) {
  t.test(`a response ${how} that does not come whole does not look complete`, (t) => {
    const body = new ManualBody(length);
    const server = streaming(body);
    server.connection.receive(get('GET', version));
    body.push('abc');
    body.sink!.onError(new Error('upstream reset'));
    t.notMatch(server.text, /\r\n0\r\n\r\n$/);
    t.equal(server.ends, ends);
    t.match(server.outcomes, [{ status: 200, sent: 3, cut: 'upstream reset' }]);
    t.strictSame(server.errors, [], 'nobody here is to blame');
    t.end();
  });
}

t.test(
  'a body that is longer than its length is cut there, one that is shorter does not look complete',
  (t) => {
    const long = new ManualBody(4);
    const first = streaming(long);
    first.connection.receive(get());
    long.push('abcde');
    t.notMatch(first.text, 'abcde');
    t.equal(first.ends, 'close');
    t.match(first.errors, [{ message: 'the response body is longer than its length' }]);
    t.ok(long.cancelled);
    const short = new ManualBody(4);
    const second = streaming(short);
    second.connection.receive(get() + get());
    short.push('abc');
    short.sink!.onEnd();
    t.match(second.text, /abc$/, 'and the next request is not answered');
    t.equal(second.ends, 'close');
    t.match(second.errors, [{ message: 'the response body is shorter than its length' }]);
    t.end();
  },
);

t.test('a service that throws, rejects, or whose body throws', async (t) => {
  const thrown = new MemoryServer({
    call() {
      throw new Error('one');
    },
  });
  thrown.connection.receive(get() + get());
  t.match(thrown.text, /^(HTTP\/1.1 500 Internal Server Error\r\n[\s\S]*internal error\n){2}$/);
  t.match(thrown.errors, [{ message: 'one' }, { message: 'one' }]);
  t.equal(thrown.ends, '', 'the connection goes on');
  const rejected = new MemoryServer({ call: () => Promise.reject(new Error('two')) });
  rejected.connection.receive(get());
  await new Promise((resolve) => setImmediate(resolve));
  t.match(rejected.text, /^HTTP\/1.1 500 /);
  t.match(rejected.outcomes, [{ status: 500, cut: undefined }]);
  const failing = Object.assign(new ManualBody(5), {
    start() {
      throw new Error('three');
    },
  });
  const cut = streaming(failing);
  cut.connection.receive(get());
  t.equal(cut.ends, 'close');
  t.match(cut.errors, [{ message: 'three' }]);
  t.match(cut.outcomes, [{ status: 200, cut: 'the service failed' }]);
  t.end();
});

t.test('interim responses', async (t) => {
  const answers: Pending<HttpResponse>[] = [];
  const server = new MemoryServer({
    call: () => {
      answers.push(new Pending());
      return answers.at(-1)!;
    },
  });
  server.connection.receive(get() + get() + get('GET', '1.0'));
  const [first] = server.contexts as [HttpContext];
  first.inform(103, Fields.of({ link: 'x' }));
  t.equal(server.text, 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n', 'at once');
  for (const status of [99, 101, 200]) t.throws(() => first.inform(status, new Fields()), RangeError);
  answers[0]!.resolve(new HttpResponse(204, new Fields(), undefined));
  const { length } = server.text;
  first.inform(103, new Fields());
  t.equal(server.text.length, length, 'not behind the response, before that of the next request');
  answers[1]!.resolve(new HttpResponse(204, new Fields(), undefined));
  t.equal(server.contexts.length, 3);
  const before = server.text.length;
  server.contexts[2]!.inform(103, new Fields());
  t.equal(server.text.length, before, 'not to HTTP/1.0');
  t.end();
});

t.test('interim responses that nobody takes are not collected', (t) => {
  const answer = new Pending<HttpResponse>();
  const server = new MemoryServer({ call: () => answer });
  server.connection.room = 100;
  server.connection.receive(get());
  const link = { link: 'x'.repeat(1000) };
  for (let i = 0; i < 1000; i++) server.contexts[0]!.inform(103, Fields.of(link));
  t.ok(server.connection.waiting < 2000, `${server.connection.waiting} bytes wait`);
  answer.resolve(new HttpResponse(204, new Fields(), undefined));
  server.connection.drain();
  t.match(server.text, /^HTTP\/1.1 103 Early Hints\r\nlink: x{1000}\r\n\r\nHTTP\/1.1 204 No Content\r\n/);
  t.end();
});

t.test('the fields of a request stay valid when the answer comes later', (t) => {
  const answer = new Pending<HttpResponse>();
  const server = new MemoryServer({ call: () => answer });
  server.connection.receive(get('GET', '1.1', 'A: one\r\nB: two\r\n'));
  t.strictSame(
    [...server.requests[0]!.fields],
    [
      ['a', 'one'],
      ['b', 'two'],
    ],
  );
  t.end();
});

t.test('who takes nothing pauses the body, and later responses; what was sent is whole', (t) => {
  const body = new ManualBody();
  const server = streaming(body);
  server.connection.room = 50;
  server.connection.receive(get() + get());
  t.equal(body.paused, true, 'with the head');
  server.connection.take(server.connection.waiting);
  t.equal(body.paused, false);
  server.connection.room = 1000;
  body.push('x'.repeat(100_000));
  t.equal(body.paused, true);
  t.ok(server.connection.waiting <= 100_000);
  body.sink!.onEnd();
  t.equal(server.outcomes.length, 0, 'a response ends when all of it is taken');
  t.equal(server.requests.length, 1);
  server.connection.drain();
  t.match(server.text, /Transfer-Encoding: chunked\r\n\r\n186a0\r\nx{100000}\r\n0\r\n\r\nHTTP/);
  t.match(server.outcomes, [{ sent: 100_000 }]);
  t.equal(server.requests.length, 2);
  t.end();
});

t.test('pipelined requests of a client that takes nothing wait', (t) => {
  const server = serve(() => new HttpResponse(200, new Fields(), bytes('x'.repeat(100_000))));
  server.connection.room = 1000;
  server.connection.receive(get().repeat(20));
  t.equal(server.requests.length, 1);
  t.ok(server.connection.waiting < 256 * 1024);
  for (let i = 0; i < 40; i++) server.connection.take(server.connection.waiting);
  t.equal(server.outcomes.length, 20);
  t.equal(server.text.length, 20 * server.text.indexOf('HTTP', 1));
  t.end();
});

t.test('nor are more of them served while small responses wait', (t) => {
  const server = serve(() => new HttpResponse(200, new Fields(), undefined));
  server.connection.room = 10;
  server.connection.receive(`${get() + get()}GET`);
  t.equal(server.outcomes.length, 2);
  server.connection.receive(get().slice(3));
  t.equal(server.requests.length, 2);
  server.connection.drain();
  t.equal(server.requests.length, 3);
  t.end();
});

t.test('two connections that answer within each other do not mix their bytes', (t) => {
  const later = new Pending<HttpResponse>();
  const body = Object.assign(new ManualBody(6), {
    start(sink: BodySink) {
      sink.onData(Buffer.from('abc'));
      later.resolve(HttpResponse.text(200, 'other'));
      sink.onData(Buffer.from('def'));
      sink.onEnd();
    },
  });
  const server = new MemoryServer({
    call: ({ path }) => (path === '/later' ? later : new HttpResponse(200, new Fields(), body)),
  });
  const other = server.connect();
  other.receive(get().replace('/', '/later'));
  server.connection.receive(get());
  t.match(server.text, /^HTTP[^x]*\r\n\r\nabcdef$/);
  t.match(other.text, /^HTTP[^x]*text[^x]*\r\n\r\nother$/);
  t.end();
});
