import { setImmediate as turn } from 'node:timers/promises';
import { Fields } from 'mproxy-http';
import { type BodySink, BytesBody, HttpResponse, Pending, service } from 'mproxy-service';
import t from 'tap';
import { echo, ManualBody, MemoryServer, readBody } from './memory-connection.js';

const post = (length: number, more = '') =>
  `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${length}\r\n${more}\r\n`;
const CHUNKED = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n';
const EXPECTS = 'Expect: 100-continue\r\n';
const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

/** A service whose answers a test gives. */
function waiting(options = {}) {
  const answers: Pending<HttpResponse>[] = [];
  const server = new MemoryServer(
    {
      call: () => {
        answers.push(new Pending());
        return answers.at(-1)!;
      },
    },
    options,
  );
  const answer = (status = 200) => answers.at(-1)!.resolve(HttpResponse.text(status, 'x'));
  return { server, answers, answer };
}

/** Remembers what a body passes on. */
class Sink implements BodySink {
  readonly log: string[] = [];

  onData(bytes: Uint8Array): void {
    this.log.push(Buffer.from(bytes).toString());
  }

  onEnd(trailers?: Fields): void {
    this.log.push(trailers ? `end ${[...trailers]}` : 'end');
  }

  onError(error: Error): void {
    this.log.push(`error ${error.message}`);
  }
}

t.test('what a service sees of a request', (t) => {
  const { server } = waiting();
  server.connection.receive(
    'PUT /a/%7eb?c HTTP/1.1\r\nHost: Example.COM.:81\r\nConnection: x\r\nX: 1\r\nY: 2\r\nContent-Length: 5\r\n\r\n',
  );
  const [request] = server.requests;
  t.match(request, {
    ...{ method: 'PUT', version: '1.1', scheme: 'http', authority: 'Example.COM.:81', host: 'example.com' },
    ...{ path: '/a/~b', query: '?c', expectsContinue: false },
  });
  t.equal(request!.body?.length, 5);
  t.strictSame([...request!.fields], [['y', '2']]);
  t.match(server.contexts[0], { peer: server.connection.peer, client: '192.0.2.1', listener: 'test' });
  t.end();
});

t.test('the scheme is that of the connection, whatever the target claims', (t) => {
  const { server } = waiting();
  server.connection.receive('GET https://example.com/a HTTP/1.1\r\nHost: h\r\n\r\n');
  const [request] = server.requests;
  t.equal(request!.scheme, 'http');
  t.match(request, { authority: 'example.com', path: '/a' });
  t.end();
});

t.test('bytes that came with the head are passed on when the body is started', (t) => {
  const { server } = waiting();
  const sink = new Sink();
  server.connection.receive(`${post(6)}abc`);
  server.requests[0]!.body!.start(sink);
  t.strictSame(sink.log, ['abc']);
  server.connection.receive('def');
  t.strictSame(sink.log, ['abc', 'def', 'end']);
  t.end();
});

t.test('a body that is not taken, or paused, slows the client down', (t) => {
  const { server } = waiting();
  const sink = new Sink();
  server.connection.receive(`${post(100_000)}`);
  t.equal(server.connection.paused, false);
  server.connection.receive('x'.repeat(20_000));
  t.equal(server.connection.paused, true);
  const { body } = server.requests[0]!;
  body!.start(sink);
  t.equal(server.connection.paused, false);
  body!.pause();
  server.connection.receive('y'.repeat(20_000));
  t.equal(server.connection.paused, true);
  t.equal(sink.log.length, 1);
  body!.resume();
  t.equal(sink.log.length, 2);
  t.equal(server.connection.paused, false);
  t.end();
});

t.test('paused within a call, it passes on nothing more: chunks and the end wait', (t) => {
  const { server } = waiting();
  const sink = new Sink();
  server.connection.receive(CHUNKED);
  const { body } = server.requests[0]!;
  const pausing = Object.assign(sink, {
    onData(bytes: Uint8Array) {
      Sink.prototype.onData.call(sink, bytes);
      body!.pause();
    },
  });
  body!.start(pausing);
  server.connection.receive('1\r\na\r\n1\r\nb\r\n0\r\n\r\n');
  t.strictSame(sink.log, ['a']);
  body!.resume();
  t.strictSame(sink.log, ['a', 'b']);
  body!.resume();
  t.strictSame(sink.log, ['a', 'b', 'end']);
  t.end();
});

t.test('paused and resumed within a call, it goes on after it, each byte once', (t) => {
  for (const [head, body, log] of [
    [CHUNKED, '1\r\na\r\n1\r\nb\r\n0\r\n\r\n', ['a', 'done', 'b', 'done', 'end']],
    [post(2), 'ab', ['ab', 'done', 'end']],
  ] as const) {
    const { server } = waiting();
    const sink = new Sink();
    server.connection.receive(head);
    const [request] = server.requests;
    request!.body!.start(
      Object.assign(sink, {
        onData(bytes: Uint8Array) {
          Sink.prototype.onData.call(sink, bytes);
          request!.body!.pause();
          request!.body!.resume();
          sink.log.push('done');
        },
      }),
    );
    server.connection.receive(body);
    t.strictSame(sink.log, log);
  }
  t.end();
});

t.test('100 Continue', async (t) => {
  t.test('is sent when the body is started', (t) => {
    const { server, answer } = waiting();
    server.connection.receive(post(3, EXPECTS));
    t.equal(server.text, '');
    const sink = new Sink();
    server.requests[0]!.body!.start(sink);
    t.equal(server.text, CONTINUE);
    server.connection.receive('abc');
    t.strictSame(sink.log, ['abc', 'end']);
    answer();
    t.equal(server.ends, '', 'and the connection goes on');
    t.end();
  });

  t.test('not twice, if the service informs', (t) => {
    const { server } = waiting();
    server.connection.receive(post(3, EXPECTS));
    server.contexts[0]!.inform(100, new Fields());
    server.requests[0]!.body!.start(new Sink());
    t.equal(server.text, CONTINUE);
    t.end();
  });

  t.test('not if the body is there already', (t) => {
    const { server } = waiting();
    server.connection.receive(`${post(3, EXPECTS)}a`);
    server.requests[0]!.body!.start(new Sink());
    t.equal(server.text, '');
    t.end();
  });

  t.test('a final response instead of it closes: the body may come or not', (t) => {
    const { server, answer } = waiting();
    server.connection.receive(post(3, EXPECTS));
    answer(417);
    t.match(server.text, /^HTTP\/1.1 417 [\s\S]*Connection: close/);
    t.equal(server.ends, 'linger 5000');
    t.end();
  });
  t.end();
});

t.test('an early response is delivered whole, then the connection ends with lingering', (t) => {
  const { server, answers } = waiting();
  const sink = new Sink();
  server.connection.receive(`${post(1000)}abc`);
  server.requests[0]!.body!.start(sink);
  const body = new ManualBody();
  answers[0]!.resolve(new HttpResponse(200, new Fields(), body));
  body.push('one');
  server.connection.receive('def');
  t.strictSame(sink.log, ['abc', 'def'], 'both directions go on meanwhile');
  t.equal(server.ends, '');
  body.sink!.onEnd();
  t.match(server.text, /3\r\none\r\n0\r\n\r\n$/);
  t.equal(server.ends, 'linger 5000');
  t.strictSame(sink.log.slice(2), ['error the response ended before the request']);
  t.match(server.outcomes, [{ status: 200, received: 6, cut: undefined }]);
  server.connection.receive('discarded');
  t.end();
});

t.test('a body that ends before the response does keeps the connection', (t) => {
  const { server, answers } = waiting();
  server.connection.receive(post(6));
  server.requests[0]!.body!.start(new Sink());
  const body = new ManualBody();
  answers[0]!.resolve(new HttpResponse(200, new Fields(), body));
  server.connection.receive(`abcdef${GET}`);
  t.equal(server.requests.length, 1);
  body.sink!.onEnd();
  t.equal(server.requests.length, 2);
  t.equal(server.ends, '');
  t.end();
});

t.test('a body that nobody reads is skipped, if it is there', (t) => {
  const server = new MemoryServer(service(() => HttpResponse.text(404, 'x')));
  server.connection.receive(`${post(3)}abc${CHUNKED}1\r\na\r\n0\r\n\r\n${GET}`);
  t.equal(server.outcomes.length, 3);
  t.equal(server.ends, '');
  server.connection.receive(`${post(3)}ab`);
  t.equal(server.ends, 'linger 5000', 'it is not waited for');
  t.end();
});

t.test('a body that is given up before the response closes the connection, and says so', (t) => {
  const { server, answer } = waiting();
  server.connection.receive(`${post(10)}abc`);
  server.requests[0]!.body!.cancel();
  answer();
  t.match(server.text, /Connection: close/);
  t.equal(server.ends, 'linger 5000');
  t.end();
});

t.test('too long a body: 413', async (t) => {
  const limits = { limits: { body: 5 } };
  const known = new MemoryServer(echo, limits);
  known.connection.receive(`${post(5)}abcde${post(6)}`);
  await turn();
  t.match(
    known.text,
    /abcde\nHTTP\/1.1 413 Content Too Large\r\n[\s\S]*Connection: close\r\n\r\nrequest body too long\n$/,
  );
  t.equal(known.requests.length, 1, 'the service does not see it');
  t.match(known.outcomes, [{ status: 200 }]);
  t.strictSame(known.rejections, ['413 request body too long']);
  const { server } = waiting(limits);
  const sink = new Sink();
  server.connection.receive(`${CHUNKED}3\r\nabc\r\n`);
  server.requests[0]!.body!.start(sink);
  server.connection.receive('3\r\ndef\r\n');
  t.strictSame(sink.log, ['abc', 'error request body too long']);
  t.match(server.text, /^HTTP\/1.1 413/);
  t.equal(server.contexts[0]!.aborted?.message, 'request body too long');
  t.match(server.outcomes, [{ status: 413 }]);
  t.equal(server.ends, 'linger 5000');
  t.end();
});

t.test('an invalid body: 400 while nothing was sent, else the response is cut', (t) => {
  for (const isAnswered of [false, true]) {
    const { server, answers } = waiting();
    const sink = new Sink();
    server.connection.receive(`${CHUNKED}1\r\na\r\n`);
    server.requests[0]!.body!.start(sink);
    const body = new ManualBody();
    if (isAnswered) answers[0]!.resolve(new HttpResponse(200, new Fields(), body));
    server.connection.receive('zz\r\n');
    t.strictSame(sink.log, ['a', 'error invalid chunk size']);
    t.equal(server.ends, isAnswered ? 'close' : 'linger 5000');
    t.match(server.text, isAnswered ? /chunked\r\n\r\n$/ : /^HTTP\/1.1 400 [\s\S]*invalid chunk size\n$/);
    t.match(server.outcomes, [{ status: isAnswered ? 200 : 400, received: 1 }]);
    t.ok(server.contexts[0]!.aborted);
    if (isAnswered) t.ok(body.cancelled);
    // A late answer has no effect.
    else {
      answers[0]!.resolve(new HttpResponse(200, new Fields(), body));
      t.ok(body.cancelled);
    }
    t.equal(server.outcomes.length, 1);
  }
  t.end();
});

t.test('an invalid body that a service meets within its call: 400 alone, however slowly it is taken', (t) => {
  for (const room of [Number.POSITIVE_INFINITY, 0]) {
    const server = new MemoryServer({
      call({ body }) {
        const answer = new Pending<HttpResponse>();
        body!.start({
          onData: () => undefined,
          onEnd: () => undefined,
          onError: (error) => answer.reject(error),
        });
        return answer;
      },
    });
    server.connection.room = room;
    server.connection.receive(`${CHUNKED}zz\r\n`);
    server.connection.drain();
    t.match(server.text, /^HTTP\/1.1 400 (?:(?!HTTP)[\s\S])*invalid chunk size\n$/);
    t.match(server.outcomes, [{ status: 400 }]);
    t.strictSame(server.errors, []);
    t.equal(server.ends, 'linger 5000');
  }
  t.end();
});

t.test('a client that leaves', async (t) => {
  for (const how of ['onEnd', 'onHangup', 'onClose'] as const) {
    t.test(`${how}, while the service is awaited`, (t) => {
      const { server, answers } = waiting();
      const sink = new Sink();
      server.connection.receive(`${post(5)}ab`);
      server.requests[0]!.body!.start(sink);
      server.connection.handler[how]!();
      t.equal(server.contexts[0]!.aborted?.message, 'client left');
      t.strictSame(sink.log, ['ab', 'error client left']);
      t.match(server.outcomes, [
        { status: 499, received: 2, sent: 0, firstByte: undefined, cut: 'client left' },
      ]);
      const body = new ManualBody();
      answers[0]!.resolve(new HttpResponse(200, new Fields(), body));
      t.ok(body.cancelled);
      t.equal(server.text, '');
      t.equal(server.ends, 'close');
      t.end();
    });

    t.test(`${how}, in the middle of the response`, (t) => {
      const { server, answers } = waiting();
      server.connection.receive(GET + GET);
      const body = new ManualBody();
      answers[0]!.resolve(new HttpResponse(200, new Fields(), body));
      body.push('abc');
      server.connection.handler[how]!();
      t.ok(body.cancelled);
      t.match(server.outcomes, [{ status: 499, sent: 3, cut: 'client left' }]);
      t.equal(server.requests.length, 1, 'nobody waits for the next one');
      body.push('late');
      body.sink!.onEnd();
      t.equal(server.outcomes.length, 1);
      t.end();
    });
  }

  t.test('half of it: a response that ends with the connection is reset', (t) => {
    const { server, answers } = waiting();
    server.connection.receive('GET / HTTP/1.0\r\n\r\n');
    answers[0]!.resolve(new HttpResponse(200, new Fields(), new ManualBody()));
    server.connection.handler.onEnd();
    t.equal(server.ends, 'abort');
    t.end();
  });

  t.test('before all was taken', (t) => {
    const server = new MemoryServer(
      service(() => new HttpResponse(200, new Fields(), new BytesBody(Buffer.alloc(1000)))),
    );
    server.connection.room = 500;
    server.connection.receive(GET);
    server.connection.handler.onEnd();
    t.match(server.outcomes, [{ status: 499 }]);
    t.end();
  });

  t.test('between requests, or within a head: nothing is answered', async (t) => {
    for (const received of ['', 'GET / HT', GET]) {
      const server = new MemoryServer(echo);
      if (received !== '') server.connection.receive(received);
      await turn();
      const { text } = server;
      server.connection.handler.onEnd();
      t.equal(server.text, text);
      t.match(server.ends, received.endsWith('HT') ? 'linger 5000' : 'close');
      server.connection.handler.onClose();
      await turn();
      t.ok(server.done);
    }
    t.end();
  });
  t.end();
});

t.test('a server that stops cuts what it serves', (t) => {
  const { server } = waiting();
  server.connection.receive(GET);
  server.context.abort(new Error('the server stopped'));
  t.match(server.outcomes, [{ status: 0, cut: 'the server stopped' }]);
  t.equal(server.ends, 'abort');
  t.end();
});

t.test('trailers come with the end; what a request said of framing does not', async (t) => {
  const texts: string[] = [];
  const server = new MemoryServer(
    service(async (request) => {
      texts.push(await readBody(request));
      return HttpResponse.text(200, 'x');
    }),
  );
  server.connection.receive(`${CHUNKED}1\r\na\r\n0\r\nContent-Length: 5\r\nT: v\r\nHost: x\r\n\r\n`);
  await turn();
  t.strictSame(texts, ['a[["t","v"]]']);
  t.end();
});
