import { Fields } from 'mproxy-http';
import { BytesBody, Connections, HttpResponse, Pending, service } from 'mproxy-service';
import t, { type Test } from 'tap';
import { ManualBody, ManualDeadlines, MemoryServer } from './memory-connection.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n';
const SLOW =
  /^HTTP\/1.1 408 Request Timeout\r\n[\s\S]*Connection: close\r\n\r\nrequest (head|body) timed out\n$/;

const ok = service(() => HttpResponse.text(200, 'x'));
const never = service(() => new Pending<HttpResponse>());
const sink = { onData: () => undefined, onEnd: () => undefined, onError: () => undefined };

t.test('before the first byte: closed after 10 s', (t) => {
  const deadlines = new ManualDeadlines(t);
  const server = new MemoryServer(ok, { deadlines });
  deadlines.pass(9900);
  t.equal(server.ends, '');
  deadlines.pass(200);
  t.equal(server.ends, 'close');
  t.equal(server.text, '');
  t.end();
});

t.test('a head that is not complete after 10 s: 408, however it trickles', (t) => {
  const deadlines = new ManualDeadlines(t);
  const server = new MemoryServer(ok, { deadlines });
  deadlines.pass(5000);
  const head = `GET / HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(98)}`;
  for (let i = 0; i < 98; i++) {
    server.connection.receive(head[i]!);
    deadlines.pass(100);
  }
  t.equal(server.text, '');
  deadlines.pass(300);
  t.match(server.text, SLOW);
  t.equal(server.ends, 'linger 5000');
  t.strictSame(server.rejections, ['408 request head timed out']);
  t.end();
});

t.test('a kept connection: closed after 75 s, its next head has 10 s', (t) => {
  const deadlines = new ManualDeadlines(t);
  const server = new MemoryServer(ok, { deadlines });
  server.connection.receive(GET);
  deadlines.pass(74_000);
  server.connection.receive(GET);
  deadlines.pass(74_900);
  t.equal(server.ends, '');
  server.connection.receive('G');
  deadlines.pass(9900);
  t.equal(server.ends, '');
  deadlines.pass(200);
  t.match(server.text, /HTTP\/1.1 408/);
  const idle = new MemoryServer(ok, { deadlines });
  idle.connection.receive(GET);
  deadlines.pass(75_200);
  t.equal(idle.ends, 'close');
  t.notMatch(idle.text, /408/);
  t.end();
});

t.test('a service that never answers is waited for', (t) => {
  const deadlines = new ManualDeadlines(t);
  const server = new MemoryServer(never, { deadlines });
  server.connection.receive(GET);
  deadlines.pass(3_600_000);
  t.equal(server.ends, '');
  t.equal(server.outcomes.length, 0);
  t.end();
});

/** A request whose body is read, and that is not answered. */
function upload(t: Test, options = {}) {
  const deadlines = new ManualDeadlines(t);
  const server = new MemoryServer(never, { deadlines, ...options });
  server.connection.receive(POST);
  const body = server.requests[0]!.body!;
  return { deadlines, server, body };
}

t.test('a body without a byte for 30 s: 408', (t) => {
  const { deadlines, server, body } = upload(t);
  deadlines.pass(100_000);
  t.equal(server.ends, '', 'nobody waits for it');
  body.start(sink);
  server.connection.receive('x'.repeat(100_000));
  deadlines.pass(29_900);
  t.equal(server.ends, '');
  deadlines.pass(300);
  t.match(server.text, SLOW);
  t.equal(server.ends, 'linger 5000');
  t.equal(server.contexts[0]!.aborted?.message, 'request body timed out');
  t.match(server.outcomes, [{ status: 408, received: 100_000 }]);
  t.end();
});

t.test('a body slower than 500 B/s on average: 408', (t) => {
  const { deadlines, server, body } = upload(t);
  body.start(sink);
  let seconds = 0;
  for (; server.ends === '' && seconds < 100; seconds++) {
    server.connection.receive('x'.repeat(490));
    deadlines.pass(1000);
  }
  t.ok(seconds >= 30 && seconds < 33, `after ${seconds} s`);
  t.match(server.text, SLOW);
  t.end();
});

t.test('a body of 510 B/s goes on; back-pressure does not count', (t) => {
  const { deadlines, server, body } = upload(t);
  body.start(sink);
  for (let i = 0; i < 200; i++) {
    server.connection.receive('x'.repeat(510));
    deadlines.pass(1000);
  }
  t.equal(server.ends, '');
  body.pause();
  deadlines.pass(1_000_000);
  body.resume();
  deadlines.pass(3800);
  t.equal(server.ends, '');
  server.connection.receive('x'.repeat(4 * 510));
  deadlines.pass(1000);
  t.equal(server.ends, '');
  t.end();
});

t.test('when the response has begun, the body may take its time', (t) => {
  const deadlines = new ManualDeadlines(t);
  const server = new MemoryServer(
    service((request) => {
      request.body!.start(sink);
      return new HttpResponse(200, new Fields(), new ManualBody());
    }),
    { deadlines },
  );
  server.connection.receive(POST);
  deadlines.pass(1_000_000);
  t.equal(server.ends, '');
  t.end();
});

t.test('a client that takes nothing for 60 s is cut; one that takes a little is not', (t) => {
  const deadlines = new ManualDeadlines(t);
  const big = service(() => new HttpResponse(200, new Fields(), new BytesBody(Buffer.alloc(60_000))));
  const server = new MemoryServer(big, { deadlines });
  server.connection.room = 10_000;
  server.connection.receive(GET);
  for (let i = 0; i < 10; i++) {
    deadlines.pass(50_000);
    server.connection.take(1);
  }
  t.equal(server.ends, '');
  // What it sends does not count.
  deadlines.pass(29_000);
  server.connection.receive('x');
  deadlines.pass(900);
  t.equal(server.ends, '');
  deadlines.pass(34_000);
  t.equal(server.ends, 'abort');
  t.match(server.outcomes, [{ status: 200, cut: 'the client takes nothing' }]);
  t.end();
});

t.test('a stall ends with a drain: the connection is idle then', (t) => {
  const deadlines = new ManualDeadlines(t);
  const big = service(() => new HttpResponse(200, new Fields(), new BytesBody(Buffer.alloc(60_000))));
  const server = new MemoryServer(big, { deadlines });
  server.connection.room = 10_000;
  server.connection.receive(GET);
  deadlines.pass(50_000);
  server.connection.drain();
  t.match(server.outcomes, [{ status: 200, cut: undefined }]);
  deadlines.pass(74_800);
  t.equal(server.ends, '');
  deadlines.pass(300);
  t.equal(server.ends, 'close');
  t.end();
});

t.test('the time-outs are options', (t) => {
  const deadlines = new ManualDeadlines(t);
  const timeouts = { head: 1000, idle: 2000, linger: 7 };
  const server = new MemoryServer(ok, { deadlines, timeouts });
  server.connection.receive(GET);
  deadlines.pass(1900);
  t.equal(server.ends, '');
  server.connection.receive('G');
  deadlines.pass(1100);
  t.equal(server.ends, 'linger 7');
  t.end();
});

t.test('time in which the process did not run counts for nobody', (t) => {
  const deadlines = new ManualDeadlines(t);
  const server = new MemoryServer(ok, { deadlines });
  deadlines.pass(5000);
  deadlines.stall(60_000);
  deadlines.pass(4500);
  t.equal(server.ends, '');
  deadlines.pass(1000);
  t.equal(server.ends, 'close');
  t.end();
});

t.test('draining closes idle connections, and the others after their response', (t) => {
  const deadlines = new ManualDeadlines(t);
  const connections = new Connections();
  const answer = new Pending<HttpResponse>();
  const server = new MemoryServer({ call: () => answer }, { connections, deadlines });
  const idle = new MemoryServer(ok, { connections, deadlines });
  const inHead = new MemoryServer(ok, { connections, deadlines });
  server.connection.receive(GET + GET);
  idle.connection.receive(GET);
  inHead.connection.receive(GET.slice(0, 9));
  const fresh = new MemoryServer(ok, { connections, deadlines });
  t.equal(connections.idle, 1);
  connections.drain();
  t.equal(idle.ends, 'close');
  t.equal(server.ends + inHead.ends + fresh.ends, '');
  deadlines.pass(1100);
  t.equal(fresh.ends, 'close', 'a new one has a second');
  answer.resolve(HttpResponse.text(200, 'x'));
  t.match(server.text, /Connection: close\r\n\r\nx$/);
  t.equal(server.ends, 'linger 5000', 'the second one is not served');
  inHead.connection.receive(GET.slice(9));
  t.match(inHead.text, /^HTTP\/1.1 200 .*\r\n(.*\r\n)*Connection: close/);
  t.end();
});

t.test('the longest idle connection is closed first; a new one is idle after a second', (t) => {
  const deadlines = new ManualDeadlines(t);
  const connections = new Connections(3);
  const [a, b, c, d] = Array.from({ length: 4 }, () => new MemoryServer(ok, { connections, deadlines }));
  b!.connection.receive(GET);
  a!.connection.receive(GET);
  deadlines.pass(1100);
  c!.connection.receive(GET);
  t.equal(connections.idle, 4);
  for (const one of [b, a, d, c]) {
    t.ok(connections.closeLongestIdle());
    t.equal(one!.ends, 'close');
  }
  t.notOk(connections.closeLongestIdle());
  t.equal(connections.idle, 0);
  t.end();
});
