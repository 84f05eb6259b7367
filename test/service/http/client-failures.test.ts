import type { Socket } from 'node:net';
import { type ConnectOptions, timedOut } from 'mproxy-net';
import t from 'tap';
import { ENGINES } from '../../net/engines.js';
import { freeTcpPort } from '../../support/net.js';
import { until } from '../../support/wait.js';
import { ask, client, context, request, Upload, whole } from '../exchanges.js';
import { ok, origin, type Visit } from '../origin.js';

/** How an upstream ends a connection. */
const DEATHS: Record<string, (socket: Socket) => void> = {
  end: (socket) => socket.end(),
  reset: (socket) => socket.resetAndDestroy(),
};

const CLOSED = '502 the upstream closed the connection before it answered';

for (const { name, streams } of ENGINES) {
  t.test(`${name}: an upstream that refuses connections is a 502`, async (t) => {
    const http = client(t, streams, { upstreams: [`http://127.0.0.1:${await freeTcpPort()}`] });
    const how = context();
    t.equal((await ask(http, request(), how).ended()).shown, '502 the upstream refused the connection');
    t.equal(how.retries, 1);
    const post = request({ method: 'POST', body: whole('hello') });
    t.equal((await ask(http, post).ended()).shown, '502 the upstream refused the connection');
    t.equal(http.upstreams[0]!.pool.open.size, 0);
  });

  for (const [death, die] of Object.entries(DEATHS)) {
    t.test(`${name}: an upstream that dies before the head (${death})`, async (t) => {
      const server = await origin(t);
      const http = client(t, streams, { upstreams: [server.url] });
      server.onVisit = ({ socket }) => die(socket);
      const how = context();
      t.equal((await ask(http, request(), how).ended()).shown, CLOSED);
      t.equal(server.visits.length, 2, 'GET is tried again');
      t.equal(how.retries, 1);
      const post = request({ method: 'POST', body: whole('hello') });
      t.equal((await ask(http, post).ended()).shown, CLOSED);
      t.equal(server.visits.length, 3, 'POST is not');
      t.equal(http.upstreams[0]!.pool.open.size, 0);
      server.onVisit = (visit) =>
        visit.socket === server.sockets[3] ? die(visit.socket) : visit.answer(ok('hello'));
      t.equal((await ask(http).ended()).shown, '200 hello', 'the next attempt may succeed');
      t.equal(http.upstreams[0]!.pool.idle, 1);
    });

    t.test(`${name}: an upstream that dies in the head (${death})`, async (t) => {
      const server = await origin(t);
      const http = client(t, streams, { upstreams: [server.url] });
      server.onVisit = (visit) => {
        visit.answer('HTTP/1.1 200 OK\r\nConte');
        setTimeout(() => die(visit.socket), 20);
      };
      t.equal((await ask(http).ended()).shown, '502 the upstream sent an invalid response');
      t.equal(server.visits.length, 1, 'bytes of a response have arrived: it is not tried again');
      server.onVisit = (visit) => {
        visit.answer('HTTP/1.1 103 Early Hints\r\n\r\n');
        setTimeout(() => die(visit.socket), 20);
      };
      t.equal((await ask(http).ended()).shown, CLOSED);
      t.equal(server.visits.length, 2, 'nor behind an interim response');
      t.equal(http.upstreams[0]!.pool.open.size, 0);
    });

    t.test(`${name}: an upstream that dies behind the head, or in the body (${death})`, async (t) => {
      const server = await origin(t);
      const http = client(t, streams, { upstreams: [server.url] });
      for (const body of ['', 'hel']) {
        const visits = server.visits.length;
        server.onVisit = (visit) => visit.answer(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n${body}`);
        const answer = ask(http);
        await answer.begun();
        await until('its beginning', () => answer.text === body);
        die(server.sockets.at(-1)!);
        await answer.ended();
        t.equal(answer.status, 200);
        t.type(answer.end, Error);
        t.equal(answer.text, body);
        t.equal(server.visits.length, visits + 1);
        t.equal(http.upstreams[0]!.pool.open.size, 0);
      }
    });

    t.test(`${name}: an upstream that dies while a request is sent (${death})`, async (t) => {
      const server = await origin(t);
      const http = client(t, streams, { upstreams: [server.url] });
      server.onVisit = ({ socket }) => socket.pause();
      const upload = new Upload(undefined);
      const answer = ask(http, request({ method: 'POST', body: upload }));
      await server.visited();
      while (!upload.paused) upload.send(Buffer.alloc(100_000));
      die(server.sockets[0]!);
      server.sockets[0]!.destroy();
      t.equal((await answer.ended()).shown, CLOSED);
      t.equal(server.visits.length, 1);
      t.equal(upload.cancelled, true);
      t.equal(http.upstreams[0]!.pool.open.size, 0);
    });
  }

  t.test(
    `${name}: a kept connection that turns out closed costs nobody a request that may be repeated`,
    async (t) => {
      const server = await origin(t);
      const http = client(t, streams, { upstreams: [server.url], retries: 0 });
      // It closes a connection when the second request comes on it.
      server.onVisit = ({ socket, number }: Visit) =>
        number > 1 ? socket.destroy() : socket.write(ok('hello'));
      for (let i = 0; i < 20; i++) {
        const how = context();
        t.equal((await ask(http, request(), how).ended()).shown, '200 hello');
        t.equal(how.retries, i === 0 ? 0 : 1);
      }
      t.equal(server.visits.length, 39);
      const put = request({ method: 'PUT', body: whole('hello', true) });
      t.equal((await ask(http, put).ended()).shown, '200 hello', 'with a body that was kept');
      t.match(server.visits.at(-1)!.text, /\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/);
      const visits = server.visits.length;
      const post = request({ method: 'POST', body: whole('hello') });
      t.equal((await ask(http, post).ended()).shown, CLOSED, 'POST was sent');
      t.equal(server.visits.length, visits + 1, 'once');
      await ask(http).ended();
      const before = server.visits.length;
      t.equal((await ask(http, request({ method: 'POST' })).ended()).shown, CLOSED, 'without a body, too');
      t.equal(server.visits.length, before + 1);
    },
  );

  t.test(`${name}: an origin that closes idle connections as requests are sent`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    for (let i = 0; i < 100; i++) {
      t.equal((await ask(http).ended()).shown, '200 ok');
      server.sockets.at(-1)!.end();
      // The FIN arrives before, while, or after the next request is sent.
      for (let turns = i % 7; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    }
    t.equal((await ask(http).ended()).shown, '200 ok');
    await until('one connection is left', () => http.upstreams[0]!.pool.open.size === 1);
  });

  t.test(`${name}: retries of failing requests are 20 % of all, after the first ten`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url], retries: 5, ejection: 1 });
    server.onVisit = ({ socket }) => socket.destroy();
    for (let i = 0; i < 50; i++) await ask(http).ended();
    const retries = server.visits.length - 50;
    t.ok(retries >= 15 && retries <= 20, `${retries}`);
  });

  t.test(`${name}: another upstream takes over`, async (t) => {
    const works = await origin(t);
    const fails = await origin(t);
    fails.onVisit = ({ socket }) => socket.destroy();
    const refuses = `http://127.0.0.1:${await freeTcpPort()}`;
    for (const url of [fails.url, refuses]) {
      const http = client(t, streams, { upstreams: [url, works.url] });
      for (let i = 0; i < 4; i++) {
        const how = context();
        t.equal((await ask(http, request(), how).ended()).shown, '200 ok');
        t.equal(how.upstream, works.url);
      }
    }
  });

  t.test(`${name}: time-outs are 504, and no request is sent twice for them`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url], timeouts: { responseHead: 150 } });
    server.onVisit = () => undefined;
    t.equal((await ask(http).ended()).shown, '504 the upstream did not answer in time');
    server.onVisit = (visit) => visit.answer('HTTP/1.1 200 OK\r\n');
    t.equal((await ask(http).ended()).shown, '504 the upstream did not answer in time');
    t.equal(server.visits.length, 2);
    t.equal(http.upstreams[0]!.pool.open.size, 0);
    await until('its connections are closed', () => server.open === 0);
  });

  t.test(`${name}: the time-out of a response begins when the request has ended`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url], timeouts: { responseHead: 300 } });
    server.onVisit = () => undefined;
    const upload = new Upload(5);
    const answer = ask(http, request({ method: 'POST', body: upload }));
    const visit = await server.visited();
    await new Promise((resolve) => setTimeout(resolve, 700));
    t.equal(answer.end, 'open', 'a slow client is no slow upstream');
    upload.send('hello');
    upload.end();
    await visit.has('hello');
    t.equal((await answer.ended()).shown, '504 the upstream did not answer in time');
  });

  t.test(`${name}: an upstream that takes nothing of an upload is a 504`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url], timeouts: { responseHead: 300 } });
    server.onVisit = ({ socket }) => socket.pause();
    const upload = new Upload(undefined);
    const answer = ask(http, request({ method: 'POST', body: upload }));
    await server.visited();
    while (!upload.paused) upload.send(Buffer.alloc(100_000));
    t.equal((await answer.ended()).shown, '504 the upstream did not answer in time');
    t.equal(upload.cancelled, true);
  });

  t.test(`${name}: a silent response body is cut, but not because its reader is slow`, async (t) => {
    const server = await origin(t);
    const timeouts = { responseBody: 300, eventStream: 100_000 };
    const http = client(t, streams, { upstreams: [server.url], timeouts });
    server.onVisit = (visit) => visit.answer('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell');
    const cut = await ask(http).ended();
    t.match(cut.end, { message: 'the upstream sent nothing more of the response in time' });
    const slow = ask(http);
    slow.onPiece = () => slow.response!.body!.pause();
    await until('its beginning', () => slow.text === 'hell');
    await new Promise((resolve) => setTimeout(resolve, 700));
    t.equal(slow.end, 'open');
    server.sockets.at(-1)!.write('o you');
    slow.response!.body!.resume();
    await until('the rest', () => slow.text === 'hello you');
    slow.response!.body!.resume();
    t.equal((await slow.ended()).end, 'complete');
    server.onVisit = (visit) =>
      visit.answer('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n');
    const events = ask(http);
    await new Promise((resolve) => setTimeout(resolve, 700));
    t.equal(events.end, 'open', 'events may be rare');
    events.response!.body!.cancel();
  });

  t.test(`${name}: a connection that is not accepted in time is a 504`, async (t) => {
    const connect = ({ timeout }: ConnectOptions) =>
      new Promise<never>((_, reject) => {
        setTimeout(() => reject(timedOut('timed out')), timeout);
      });
    const silent = { ...streams, connect };
    const http = client(t, silent, { upstreams: ['http://127.0.0.1:9'], timeouts: { connect: 100 } });
    const how = context();
    t.equal(
      (await ask(http, request(), how).ended()).shown,
      '504 the upstream could not be connected to in time',
    );
    t.equal(how.retries, 0, 'there is no other upstream');
    const server = await origin(t);
    const mixed = {
      ...streams,
      connect: (one: ConnectOptions) =>
        (one.to as { port: number }).port === 9 ? connect(one) : streams.connect(one),
    };
    const both = client(t, mixed, {
      upstreams: ['http://127.0.0.1:9', server.url],
      timeouts: { connect: 100 },
    });
    t.equal((await ask(both).ended()).shown, '200 ok');
  });
}
