import type { Fields } from 'mproxy-http';
import t from 'tap';
import { ENGINES } from '../../net/engines.js';
import { until } from '../../support/wait.js';
import { ask, client, context, request, Upload, whole } from '../exchanges.js';
import { ok, origin } from '../origin.js';

for (const { name, streams } of ENGINES) {
  t.test(`${name}: a request is sent as it is, with Host and what frames its body`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    const fields = { accept: '*/*', 'x-a': 'b' };
    await ask(http, request({ path: '/a', query: '?b=c', authority: 'example.com:81', fields })).ended();
    t.equal(
      server.visits[0]!.text,
      'GET /a?b=c HTTP/1.1\r\nHost: example.com:81\r\naccept: */*\r\nx-a: b\r\n\r\n',
    );
    await ask(http, request({ method: 'POST', body: whole('hello') })).ended();
    t.match(server.visits[1]!.text, /Content-Length: 5\r\n\r\nhello$/);
    await ask(http, request({ method: 'POST', body: whole('hello', true) })).ended();
    t.match(server.visits[2]!.text, /Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/);
    for (const method of ['POST', 'PUT', 'PATCH']) await ask(http, request({ method })).ended();
    for (const visit of server.visits.slice(3))
      t.strictSame(visit.lines('content-length'), ['Content-Length: 0']);
    await ask(http, request({ fields: { te: 'trailers' } })).ended();
    t.strictSame(server.visits[6]!.lines('connection'), ['Connection: te']);
    t.equal(server.sockets.length, 1, 'one connection for all of them');
  });

  t.test(`${name}: every framing of a response is read`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    const get = async (text: string, method = 'GET') => {
      server.onVisit = ({ socket }) => {
        if (text.endsWith('\0')) socket.end(text.slice(0, -1));
        else socket.write(text);
      };
      return ask(http, request({ method })).ended();
    };
    t.equal((await get(ok('hello'))).shown, '200 hello');
    t.equal((await get(ok(''))).shown, '200');
    const chunked = await get(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nx-sum: 1\r\n\r\n',
    );
    t.equal(chunked.shown, '200 hello');
    t.equal(chunked.trailers?.get('x-sum'), '1');
    t.equal(chunked.response?.body?.length, undefined);
    t.equal((await get('HTTP/1.1 204 No Content\r\n\r\n')).shown, '204');
    const head = await get('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 'HEAD');
    t.equal(head.field('content-length'), '5');
    t.equal(server.sockets.length, 1, 'the connection was kept until now');
    t.equal(
      (await get('HTTP/1.1 200 OK\r\n\r\nhello\0')).shown,
      '200 hello',
      'until the end of the connection',
    );
    t.equal((await get('HTTP/1.0 200 OK\r\n\r\nhello\0')).shown, '200 hello');
    t.equal(
      (await get('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')).shown,
      '200 ok',
    );
    t.equal((await get(ok('hello'))).shown, '200 hello');
    t.equal(server.sockets.length, 4);
    await until('the closed ones are closed', () => server.open === 1);
  });

  t.test(`${name}: a response in single bytes is the same`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    const text =
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';
    server.onVisit = async ({ socket }) => {
      for (const byte of text) {
        socket.write(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const informed: string[] = [];
    const informs = (status: number, fields: Fields) => informed.push(`${status} ${fields.get('link')}`);
    const answer = await ask(http, request(), context({}, informs)).ended();
    t.equal(answer.shown, '200 abc');
    t.strictSame(informed, ['103 </a>']);
    t.equal(http.upstreams[0]!.pool.idle, 1);
  });

  t.test(`${name}: an invalid response is a 502, and its connection is closed`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    const invalid = [
      'hello\r\n',
      'HTTP/2 200 OK\r\n\r\n',
      'HTTP/1.1 20 OK\r\n\r\n',
      'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n',
      'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n',
    ];
    for (const text of invalid) {
      server.onVisit = (visit) => visit.answer(text);
      const answer = await ask(http).ended();
      t.equal(answer.shown, '502 the upstream sent an invalid response', JSON.stringify(text));
    }
    t.equal(server.visits.length, invalid.length, 'none was tried again');
    await until('all are closed', () => server.open === 0);
    t.equal(http.upstreams[0]!.pool.open.size, 0);
  });

  t.test(`${name}: a body that does not come whole ends with an error`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    const cut = ['Content-Length: 5\r\n\r\nhell', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n'];
    for (const text of cut) {
      server.onVisit = ({ socket }) => socket.end(`HTTP/1.1 200 OK\r\n${text}`);
      const answer = await ask(http).ended();
      t.match(answer.end, { message: 'the upstream ended in the middle of the response' });
      t.equal(answer.text, 'hell');
    }
    server.onVisit = (visit) =>
      visit.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\nx');
    t.match((await ask(http).ended()).end, { message: 'the upstream sent an invalid chunk' });
    server.onVisit = (visit) => visit.answer('HTTP/1.1 200 OK\r\n\r\nhell');
    const reset = ask(http);
    await until('what came before the reset', () => reset.text === 'hell');
    server.sockets.at(-1)!.resetAndDestroy();
    t.type((await reset.ended()).end, Error, 'a reset is no end');
    t.equal(http.upstreams[0]!.pool.open.size, 0);
  });

  t.test(`${name}: what comes on an idle connection, or behind a response, closes it`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    server.onVisit = (visit) => visit.answer(`${ok('1')}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`);
    t.equal((await ask(http).ended()).shown, '200 1');
    t.equal(http.upstreams[0]!.pool.idle, 0);
    server.onVisit = (visit) => visit.answer(ok('2'));
    t.equal((await ask(http).ended()).shown, '200 2');
    server.sockets[1]!.write(ok('evil'));
    await until('it is closed', () => http.upstreams[0]!.pool.open.size === 0, 2000);
    t.equal((await ask(http).ended()).shown, '200 2');
    t.equal(server.sockets.length, 3);
  });

  t.test(`${name}: a slow reader slows the upstream down, and gets every byte`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    const bytes = Buffer.alloc(8 << 20, 'abcdefghijklmnopqrstuvwxyz');
    for (const chunked of [false, true]) {
      let flushed = false;
      server.onVisit = ({ socket }) => {
        socket.write(
          `HTTP/1.1 200 OK\r\n${chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes.length}`}\r\n\r\n`,
        );
        if (chunked) {
          for (let at = 0; at < bytes.length; at += 10_000) {
            const piece = bytes.subarray(at, at + 10_000);
            socket.write(`${piece.length.toString(16)}\r\n`);
            socket.write(piece);
            socket.write('\r\n');
          }
          socket.write('0\r\n\r\n', () => (flushed = true));
        } else socket.write(bytes, () => (flushed = true));
      };
      const answer = ask(http);
      answer.onPiece = () => answer.response!.body!.pause();
      await until('the first bytes', () => answer.pieces === 1);
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      t.equal(answer.pieces, 1, 'no more while it is paused');
      t.equal(flushed, false, 'the upstream waits');
      answer.onPiece = () => undefined;
      answer.response!.body!.resume();
      await answer.ended();
      t.ok(Buffer.from(answer.text, 'latin1').equals(bytes));
      t.equal(http.upstreams[0]!.pool.idle, 1);
    }
  });

  t.test(`${name}: a slow upstream slows an upload down, and gets every byte`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    const text = 'abcdefghijklmnopqrstuvwxyz'.repeat(5000);
    for (const chunked of [false, true]) {
      const number = server.visits.length;
      server.onVisit = ({ socket }) => socket.pause();
      const upload = new Upload(chunked ? undefined : 100 * text.length);
      const answer = ask(http, request({ method: 'POST', body: upload }));
      await server.visited(number + 1);
      let sent = 0;
      while (!upload.paused && sent < 100) {
        upload.send(text);
        sent++;
      }
      t.equal(upload.paused, true);
      const visit = server.visits[number]!;
      visit.socket.resume();
      for (; sent < 100; sent++) {
        await until('it takes more', () => !upload.paused);
        upload.send(text);
      }
      upload.end();
      const end = chunked ? '\r\n0\r\n\r\n' : '';
      const size = () => visit.text.length - visit.head.length;
      await until('all of it', () => size() >= 100 * text.length && visit.text.endsWith(end));
      const body = chunked ? visit.body.replace(/[\da-f]+\r\n([a-z]*)\r\n/g, '$1') : visit.body;
      t.equal(body === text.repeat(100), true);
      visit.answer(ok('thanks'));
      t.equal((await answer.ended()).shown, '200 thanks');
    }
    t.equal(server.sockets.length, 1);
  });

  t.test(`${name}: whoever leaves ends the upstream's request`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    for (const [when, text] of [
      ['before the head', ''],
      ['in the head', 'HTTP/1.1 200'],
      ['in the body', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell'],
    ]) {
      const number = server.visits.length;
      server.onVisit = (visit) => visit.answer(text!);
      const how = context();
      const answer = ask(http, request(), how);
      const { socket } = await server.visited(number + 1);
      if (when === 'in the body') await until('its beginning', () => answer.text === 'hell');
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.once('end', () => socket.destroy());
      const before = performance.now();
      how.abort(new Error('left'));
      await closed;
      t.ok(performance.now() - before < 100, `${when}: at once`);
      t.match((await answer.ended()).end, { message: 'left' });
      t.equal(http.upstreams[0]!.pool.open.size, 0);
    }
    const how = context();
    how.abort(new Error('left'));
    t.match((await ask(http, request(), how).ended()).end, { message: 'left' });
    t.equal(server.visits.length, 3, 'nothing is sent for one who has left');
  });

  t.test(`${name}: whoever cancels a body closes the connection`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    server.onVisit = (visit) => visit.answer('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell');
    const answer = ask(http);
    await until('its beginning', () => answer.text === 'hell');
    answer.response!.body!.cancel();
    await until('it is closed', () => server.sockets[0]!.destroyed || server.sockets[0]!.readableEnded);
    t.equal(answer.end, 'open', 'its sink is called no more');
    t.equal(http.upstreams[0]!.pool.open.size, 0);
  });

  t.test(`${name}: a body that is taken later comes whole, with its fields`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    for (const text of ['hello', 'x'.repeat(16 << 20)]) {
      let flushed = false;
      server.onVisit = ({ socket }) =>
        socket.write(ok(text, 'X-A: kept\r\n'), () => {
          flushed = true;
        });
      const response = await http.call(request(), context());
      for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
      t.equal(flushed, text === 'hello', 'a large one waits at the upstream');
      const answer = ask({ call: () => response });
      t.ok((await answer.ended()).text === text);
      t.equal(answer.field('x-a'), 'kept');
    }
  });
}
