import { Fields } from 'mproxy-http';
import t from 'tap';
import { ENGINES } from '../../net/engines.js';
import { until } from '../../support/wait.js';
import { ask, client, context, request, Upload, whole } from '../exchanges.js';
import { ok, origin } from '../origin.js';

for (const { name, streams } of ENGINES) {
  t.test(`${name}: head and body go out together, later pieces as they come`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    server.onVisit = () => undefined;
    const chunks: string[] = [];
    server.onConnection = (socket) => socket.on('data', (bytes) => chunks.push(String(bytes)));
    const upload = new Upload(undefined, (one) => one.send('first'));
    const answer = ask(http, request({ method: 'POST', body: upload }));
    const visit = await server.visited();
    await visit.has('first');
    t.match(chunks[0], /\r\n\r\n5\r\nfirst\r\n$/, 'in one piece');
    upload.send('second');
    await visit.has('6\r\nsecond\r\n');
    upload.end(Fields.of({ 'x-sum': '1' }));
    await visit.has('0\r\nx-sum: 1\r\n\r\n');
    visit.answer(ok('thanks'));
    t.equal((await answer.ended()).shown, '200 thanks');
  });

  t.test(`${name}: pieces and heads of any size arrive as they are`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    server.onVisit = () => undefined;
    const text = 'abcdefghijklmnopqrstuvwxyz'.repeat(8000);
    const fields = { 'x-long': 'x'.repeat(100_000) };
    for (const [size, chunked, isFirst] of [
      [200_000, true, true],
      [200_000, true, false],
      [200_000, false, true],
      [200_000, false, false],
      [65_000, true, true],
      [65_536, false, true],
      [1, true, true],
    ] as const) {
      const body = text.slice(0, size);
      const begin = (one: Upload) => {
        one.send(body);
        one.end();
      };
      const upload = new Upload(chunked ? undefined : size, isFirst ? begin : undefined);
      for (const long of [false, true]) {
        const number = server.visits.length;
        const one = long ? fields : {};
        const answer = ask(http, request({ method: 'POST', body: upload, fields: one }));
        const visit = await server.visited(number + 1);
        if (!isFirst) begin(upload);
        const got = () => (chunked ? visit.body.replace(/[\da-f]+\r\n([a-z]*)\r\n/g, '$1') : visit.body);
        await until(`${size} bytes`, () => got() === body);
        t.strictSame(visit.lines('x-long'), long ? [`x-long: ${fields['x-long']}`] : []);
        visit.answer(ok('thanks'));
        t.equal((await answer.ended()).shown, '200 thanks');
      }
    }
    t.equal(server.sockets.length, 1);
  });

  t.test(`${name}: Expect: 100-continue is answered by the upstream`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    const expecting = () => ({ method: 'POST', expectsContinue: true, fields: { expect: '100-continue' } });
    const informed: number[] = [];
    const upload = whole('hello');
    server.onVisit = () => undefined;
    const answer = ask(
      http,
      request({ ...expecting(), body: upload }),
      context({}, (status) => informed.push(status)),
    );
    const visit = await server.visited();
    t.strictSame(visit.lines('expect'), ['expect: 100-continue']);
    t.equal(upload.sink, undefined, 'the body waits');
    visit.answer('HTTP/1.1 100 Continue\r\n\r\n');
    await visit.has('hello');
    t.strictSame(informed, [100]);
    visit.answer(ok('thanks'));
    t.equal((await answer.ended()).shown, '200 thanks');
    t.equal(http.upstreams[0]!.pool.idle, 1);

    const unwanted = whole('hello');
    server.onVisit = ({ socket }) =>
      socket.write('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n');
    t.equal((await ask(http, request({ ...expecting(), body: unwanted })).ended()).shown, '417');
    t.equal(unwanted.sink, undefined, 'the body was not asked for');
    t.equal(unwanted.cancelled, true);
    t.equal(http.upstreams[0]!.pool.open.size, 0, 'its bytes could not be told from a request');

    server.onVisit = () => undefined;
    const silent = ask(http, request({ ...expecting(), body: whole('hello') }));
    const last = await server.visited(3);
    await last.has('hello');
    last.answer(ok('late'));
    t.equal(
      (await silent.ended()).shown,
      '200 late',
      'an upstream that does not say 100 gets the body all the same',
    );
  });

  t.test(
    `${name}: a response before the request has ended is delivered, its connection closed`,
    async (t) => {
      const server = await origin(t);
      const http = client(t, streams, { upstreams: [server.url] });
      for (const text of [ok('too large'), 'HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n']) {
        server.onVisit = (visit) => visit.answer(text);
        const upload = new Upload(100, (one) => one.send('hello'));
        const answer = await ask(http, request({ method: 'POST', body: upload })).ended();
        t.match(answer.shown, /^(200 too large|413)$/);
        t.equal(upload.cancelled, true);
        t.equal(http.upstreams[0]!.pool.open.size, 0);
      }
    },
  );

  t.test(`${name}: a request and its response can come at once`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    server.onVisit = (visit) => visit.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const upload = new Upload(undefined);
    const answer = ask(http, request({ method: 'POST', body: upload }));
    await answer.begun();
    const visit = server.visits[0]!;
    for (const letter of 'abc') {
      upload.send(letter);
      await visit.has(`1\r\n${letter}\r\n`);
      visit.answer(`1\r\n${letter}\r\n`);
      await until(letter, () => answer.text.endsWith(letter));
    }
    upload.end();
    await visit.has('0\r\n\r\n');
    visit.answer('0\r\n\r\n');
    t.equal((await answer.ended()).shown, '200 abc');
    t.equal(http.upstreams[0]!.pool.idle, 1, 'both have ended: the connection is kept');
  });

  t.test(`${name}: a response that came before an upload failed is read`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    const upload = new Upload(undefined, (one) => one.send('hello'));
    server.onVisit = ({ socket }) => {
      socket.write('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge');
      socket.resetAndDestroy();
      // Both are here when this is sent, and neither is read.
      upload.send('more');
    };
    const answer = ask(http, request({ method: 'POST', body: upload }));
    t.equal((await answer.ended()).shown, '413 large');
    t.equal(upload.cancelled, true);
    t.equal(http.upstreams[0]!.pool.open.size, 0);
  });

  t.test(`${name}: an upload that breaks off never looks complete`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    server.onVisit = () => undefined;
    for (const length of [undefined, 10]) {
      const number = server.visits.length;
      const upload = new Upload(length, (one) => one.send('hello'));
      const answer = ask(http, request({ method: 'POST', body: upload }));
      const visit = await server.visited(number + 1);
      await visit.has('hello');
      upload.sink!.onError(new Error('the client left'));
      t.match((await answer.ended()).end, { message: 'the client left' });
      await until('the connection is closed', () => visit.socket.destroyed);
      t.notMatch(visit.text, /0\r\n\r\n$/);
    }
    t.equal(http.upstreams[0]!.pool.open.size, 0);
  });

  t.test(`${name}: an upstream of HTTP/1.0 gets no chunks`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    server.onVisit = (visit) =>
      visit.answer('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold');
    t.equal((await ask(http).ended()).shown, '200 old');
    t.equal(http.upstreams[0]!.pool.idle, 1, 'it keeps the connection if it says so');
    const upload = whole('hello', true);
    const answer = await ask(http, request({ method: 'POST', body: upload })).ended();
    t.equal(answer.shown, '411 the upstream takes request bodies of known length only');
    t.equal(upload.cancelled, true);
    t.equal((await ask(http, request({ method: 'POST', body: whole('hello') })).ended()).shown, '200 old');
    t.equal(server.visits.length, 2);
  });
}
