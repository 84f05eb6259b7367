import { connect } from 'node:net';
import type { Streams } from 'mproxy-net';
import { Deadlines } from 'mproxy-service/deadlines';
import { forward } from 'mproxy-service/http/forward';
import { httpServer } from 'mproxy-service/http/server';
import { stack } from 'mproxy-service/service';
import { tcpServer } from 'mproxy-service/tcp-server';
import t, { type Test } from 'tap';
import { ENGINES } from '../../net/engines.js';
import { tcpClient } from '../../support/net.js';
import { until } from '../../support/wait.js';
import { client } from '../exchanges.js';
import { type Origin, ok, origin } from '../origin.js';

/** A proxy in front of an origin; its port. */
async function proxy(t: Test, streams: Streams, server: Origin): Promise<number> {
  const deadlines = new Deadlines(streams);
  const http = stack([forward()], client(t, streams, { upstreams: [server.url] }));
  const serving = await tcpServer('127.0.0.1:0', { streams }).serve(httpServer(http, { deadlines }));
  t.teardown(() => serving.close());
  return serving.addresses[0]!.port;
}

/** Sends bytes; the answer, once it has this text. */
async function exchange(t: Test, port: number, text: string, until: string): Promise<string> {
  const peer = await tcpClient(t, port);
  peer.socket.write(text, 'latin1');
  while (!peer.bytes.toString('latin1').includes(until)) await peer.has(peer.length + 1);
  return peer.bytes.toString('latin1');
}

for (const { name, streams } of ENGINES) {
  t.test(`${name}: no hop-by-hop field passes, in either direction`, async (t) => {
    const server = await origin(t);
    const port = await proxy(t, streams, server);
    const hops = [
      'Connection: keep-alive, X-Named, x-other',
      'X-Named: hop',
      'X-Other: hop',
      'Keep-Alive: timeout=100',
      'Proxy-Connection: hop',
    ];
    server.onVisit = (visit) => visit.answer(ok('end', `${hops.join('\r\n')}\r\nX-Kept: kept\r\n`));
    const more = ['TE: trailers, deflate', 'Upgrade: h2c', 'X-Kept: kept'];
    const head = `GET / HTTP/1.1\r\nHost: a\r\n${[...hops, ...more].join('\r\n')}\r\n\r\n`;
    const answer = await exchange(t, port, head, 'end');
    for (const text of [answer, server.visits[0]!.text]) {
      t.notMatch(text, /hop|x-named|x-other|keep-alive|proxy-connection|upgrade/i);
      t.match(text, /X-Kept: kept\r\n/i);
    }
    t.strictSame(server.visits[0]!.lines('te'), ['te: trailers']);
    t.strictSame(server.visits[0]!.lines('connection'), ['Connection: te']);
    t.match(server.visits[0]!.lines('x-forwarded-for'), ['X-Forwarded-For: 127.0.0.1']);
  });

  t.test(`${name}: spoofed forwarding fields, spelt with _ too, do not pass, nor as trailers`, async (t) => {
    const server = await origin(t);
    const port = await proxy(t, streams, server);
    const spoofed =
      'X-Forwarded-For: evil\r\nX_Forwarded_For: evil\r\nX-Real_IP: evil\r\nForwarded: for=evil\r\n';
    server.onVisit = () => undefined;
    const done = exchange(
      t,
      port,
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n${spoofed}\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n${spoofed}\r\n`,
      'end',
    );
    const visit = await server.visited();
    await visit.has('0\r\n');
    await visit.has('\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n');
    visit.answer(ok('end'));
    await done;
    t.notMatch(visit.text, /evil/);
  });

  t.test(
    `${name}: head and body of a small response arrive in one piece, and connections are kept`,
    async (t) => {
      const server = await origin(t);
      const port = await proxy(t, streams, server);
      const peer = await tcpClient(t, port);
      for (let i = 1; i <= 5; i++) {
        peer.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        await until('a response', () => peer.chunks.length >= i);
        t.match(String(peer.chunks[i - 1]), /^HTTP\/1.1 200 OK\r\n.*\r\n\r\nok$/s);
      }
      t.equal(peer.chunks.length, 5);
      t.equal(server.sockets.length, 1);
    },
  );

  t.test(`${name}: 1,000 clients that leave in the middle leave nothing behind`, async (t) => {
    const server = await origin(t);
    const port = await proxy(t, streams, server);
    const large = 'x'.repeat(1000);
    let visits = 0;
    server.onVisit = (visit) => {
      visits++;
      if (visits % 3 === 1) visit.answer(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${large}`);
      if (visits % 3 === 2) visit.answer('HTTP/1.1 200 OK\r\nTransfer-Enco');
    };
    for (let left = 1000; left > 0; left -= 50) {
      const sockets = Array.from({ length: 50 }, () => connect({ port, host: '127.0.0.1' }));
      const before = visits;
      for (const socket of sockets) {
        socket.on('error', () => undefined);
        socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      }
      await until('all have come', () => visits === before + 50);
      for (const [i, socket] of sockets.entries()) i % 2 ? socket.destroy() : socket.resetAndDestroy();
      await until('the requests of the upstream end', () => server.open === 0);
    }
    t.equal(server.open, 0);
  });
}
