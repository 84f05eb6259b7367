// What the HTTP server does with tunnels, byte by byte, on connections in memory.
import { Fields } from 'mproxy-http';
import { type HttpRequest, HttpResponse, Pending, service } from 'mproxy-service';
import t from 'tap';
import { until } from '../support/wait.js';
import { ManualBody, MemoryServer } from './memory-connection.js';
import { upgrade } from './tunnels.js';

const HEAD = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nConnection: upgrade\r\n\r\n';

/** A service that switches, with what it sends and gets. */
class Switching {
  readonly body = new ManualBody();
  text = '';
  end: 'open' | 'end' | Error = 'open';
  request: HttpRequest | undefined;
  readonly response = new HttpResponse(101, new Fields(), this.body);
  readonly later = new Pending<HttpResponse>();
  readonly server = new MemoryServer(
    service((request) => {
      this.request = request;
      request.upgrade?.body.start({
        onData: (bytes) => {
          this.text += Buffer.from(bytes).toString('latin1');
        },
        onEnd: () => {
          this.end = 'end';
        },
        onError: (error) => {
          this.end = error;
        },
      });
      return this.isLate ? this.later : this.response;
    }),
    { upgrades: ['websocket'] },
  );

  /** @param isLate it answers when {@link later} is resolved */
  constructor(private readonly isLate = false) {}

  get client() {
    return this.request!.upgrade!.body;
  }
}

t.test('what comes in one piece with the request, and by single bytes', async (t) => {
  for (const cut of [0, 1, 20, upgrade().length - 1, upgrade().length, upgrade().length + 3]) {
    const { server } = new Switching();
    const text = `${upgrade()}binary\0\xff`;
    server.connection.receive(text.slice(0, cut));
    server.connection.receive(text.slice(cut));
    t.equal(server.text, HEAD, `cut at ${cut}`);
  }
});

t.test('bytes behind a request wait for the 101, also for a service that reads already', async (t) => {
  const one = new Switching(true);
  one.server.connection.receive(`${upgrade()}early`);
  one.server.connection.receive(' and more');
  t.strictSame([one.text, one.server.text], ['', '']);
  one.later.resolve(one.response);
  t.strictSame([one.text, one.server.text], ['early and more', HEAD]);
});

t.test('of a tunnel that was refused, nothing is read', async (t) => {
  const one = new Switching(true);
  one.server.connection.receive(`${upgrade()}early`);
  one.later.resolve(HttpResponse.text(403, 'no\n'));
  one.server.connection.receive(' and more');
  t.equal(one.text, '');
  t.match(one.server.text, /^HTTP\/1\.1 403 [\s\S]*\r\nConnection: close\r\n\r\nno\n$/);
  t.match(one.end, /ended before the request/);
  t.match(one.server.ends, /^linger /);
});

t.test('the rest of what a client sent is taken after its connection has closed', async (t) => {
  const one = new Switching();
  const { connection, outcomes } = one.server;
  connection.receive(`${upgrade()}first`);
  t.equal(one.text, 'first');
  one.body.sink!.onEnd();
  t.equal(one.server.ends, 'end', 'the direction to the client has ended');
  one.client.pause();
  connection.receive('the rest');
  // Both have ended: the connection closes, and its handler is told so.
  connection.handler.onEnd();
  connection.handler.onClose();
  t.strictSame([one.text, one.end, outcomes.length, one.server.done], ['first', 'open', 0, false]);
  one.client.resume();
  t.strictSame([one.text, one.end], ['firstthe rest', 'end']);
  t.match(outcomes, [{ status: 101, received: 13, cut: undefined }]);
  await until('it is done', () => one.server.done);
});

t.test('a client whose connection fails has left, also behind its end', async (t) => {
  for (const ends of [true, false]) {
    const one = new Switching();
    const { connection, outcomes } = one.server;
    connection.receive(upgrade());
    one.client.pause();
    connection.receive('lost');
    if (ends) connection.handler.onEnd();
    connection.handler.onClose(new Error('reset'));
    t.match(one.end, /client left/);
    t.match(outcomes, [{ status: 101, cut: 'client left' }]);
    t.ok(one.body.cancelled);
    await until('it is done', () => one.server.done);
  }
});

t.test('a client is slowed down while its bytes are not taken', async (t) => {
  const one = new Switching();
  const { connection } = one.server;
  connection.receive(upgrade());
  one.client.pause();
  connection.receive('x'.repeat(100_000));
  t.ok(connection.paused);
  one.client.resume();
  t.notOk(connection.paused);
  t.equal(one.text.length, 100_000);
});

t.test('a service that switches where nobody asked for it: 500', async (t) => {
  const one = new Switching();
  one.server.connection.receive('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  t.match(one.server.text, /^HTTP\/1\.1 500 /);
  t.match(one.server.errors, [{ message: /101/ }]);
});
