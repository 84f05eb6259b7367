// How a tunnel begins, or does not: Upgrade in requests, and 101.
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { ENGINES } from '../net/engines.js';
import { until } from '../support/wait.js';
import { tunnelStack } from './tunnel-stack.js';
import { SWITCHED, tunnel, tunnelClient, tunnelOrigin, upgrade } from './tunnels.js';

/** @param more `Connection: close`: the next request comes on a connection of its own */
const answer = (status: string, text: string, more = 'Connection: close') =>
  `HTTP/1.1 ${status}\r\n${more}\r\nContent-Length: ${text.length}\r\n\r\n${text}`;

/** Requests whose Upgrade is not passed on, by the reason. */
const IGNORED: Record<string, string> = {
  'a protocol that nobody allowed': upgrade().replace('websocket', 'foo'),
  h2c: upgrade('/', 'Connection: HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n').replace(
    'websocket',
    'h2c',
  ),
  'a version of it': upgrade().replace('Upgrade: websocket', 'Upgrade: websocket/13'),
  'no list of protocols': upgrade().replace('Upgrade: websocket', 'Upgrade: websocket; q=1'),
  'an empty one': upgrade().replace('Upgrade: websocket', 'Upgrade:'),
  'HTTP/1.0': upgrade().replace('HTTP/1.1', 'HTTP/1.0'),
  POST: upgrade('/', 'Content-Length: 0\r\n').replace('GET', 'POST'),
  HEAD: upgrade().replace('GET', 'HEAD'),
  'a body with a length': `${upgrade('/', 'Content-Length: 4\r\n')}body`,
  'a body in chunks': `${upgrade('/', 'Transfer-Encoding: chunked\r\n')}4\r\nbody\r\n0\r\n\r\n`,
  'Connection does not name it': upgrade().replace('Connection: Upgrade', 'Connection: keep-alive'),
  'there is no Connection': upgrade().replace('Connection: Upgrade\r\n', ''),
};

/** What an upstream answers with 101 to a request for websocket, although it is not that. */
const WRONG: Record<string, string> = {
  'another protocol': SWITCHED.replace('Upgrade: websocket', 'Upgrade: h2c'),
  'several protocols': SWITCHED.replace('Upgrade: websocket', 'Upgrade: websocket, h2c'),
  'HTTP/1.0': SWITCHED.replace('HTTP/1.1', 'HTTP/1.0'),
  'no Upgrade': SWITCHED.replace('Upgrade: websocket\r\n', ''),
  'no Connection': SWITCHED.replace('Connection: Upgrade\r\n', ''),
  'a Connection that does not name it': SWITCHED.replace('Connection: Upgrade', 'Connection: close'),
  'an invalid field': SWITCHED.replace('Sec-WebSocket-Accept:', 'Sec-WebSocket-Accept :\r\n'),
};

for (const { name, streams } of ENGINES) {
  t.test(`${name}: a request for websocket, and its 101, pass with their fields`, async (t) => {
    const { origin, port, outcomes } = await tunnelStack(t, streams);
    const { client, upstream } = await tunnel(t, port, origin, '/chat?a=b');
    t.equal(
      upstream.head.toLowerCase(),
      'get /chat?a=b http/1.1\r\nhost: h\r\nsec-websocket-version: 13\r\nsec-websocket-key: dghlihnhbxbszsbub25jzq==\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
    );
    t.match(upstream.head, /dGhlIHNhbXBsZSBub25jZQ==/);
    t.match(client.head, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    t.strictSame(client.lines('sec-websocket-accept'), [
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    ]);
    t.match(client.lines('upgrade'), [/^upgrade: websocket$/i]);
    t.match(client.lines('connection'), [/^connection: upgrade$/i]);
    for (const name of ['date', 'content-length', 'transfer-encoding']) t.strictSame(client.lines(name), []);
    client.send('to the upstream\0\xff');
    upstream.send('to the client\0\xff');
    await upstream.has('to the upstream\0\xff');
    await client.has('to the client\0\xff');
    t.strictSame([upstream.behind, client.behind], ['to the upstream\0\xff', 'to the client\0\xff']);
    client.socket.end();
    await upstream.ended();
    upstream.socket.end();
    await client.ended();
    await until('it has ended', () => outcomes.length === 1);
    t.match(outcomes, [{ status: 101, received: 17, sent: 15, cut: undefined }]);
  });

  t.test(`${name}: of several protocols those are passed on that are allowed`, async (t) => {
    const { origin, port } = await tunnelStack(t, streams);
    for (const value of ['foo, WebSocket', 'websocket,foo', 'h2c\r\nUpgrade: websocket']) {
      const client = await tunnelClient(t, port);
      client.send(upgrade().replace('Upgrade: websocket', `Upgrade: ${value}`));
      await client.has('\r\n\r\n');
      t.equal(client.status, 101, value);
      t.match(origin.ends.at(-1)!.lines('upgrade'), [/^upgrade: websocket$/i]);
    }
  });

  t.test(`${name}: Upgrade is not passed on where it asks for nothing`, async (t) => {
    const { origin, port } = await tunnelStack(t, streams);
    origin.onHead = (end) => end.send(answer('200 OK', 'ok'));
    for (const [why, text] of Object.entries(IGNORED)) {
      const client = (await tunnelClient(t, port)).send(text);
      await client.has('\r\n\r\n');
      t.equal(client.status, 200, why);
      const { head } = origin.ends.at(-1)!;
      t.match(head, /sec-websocket-key/i);
      t.notMatch(head, /^(upgrade|connection|http2-settings):/im, why);
      t.strictSame(client.lines('connection'), why === 'HTTP/1.0' ? ['Connection: close'] : [], 'it is kept');
    }
  });

  t.test(`${name}: bytes behind the request wait for the 101`, async (t) => {
    const { origin, port } = await tunnelStack(t, streams);
    origin.onHead = () => undefined;
    // More than what is held: the client is slowed down.
    const much = randomBytes(8 * 1024 * 1024).toString('latin1');
    for (const early of ['early', much]) {
      const client = (await tunnelClient(t, port)).send(upgrade() + early);
      const upstream = await origin.visited(origin.ends.length + 1);
      upstream.send('HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n');
      await client.has('103 Early Hints');
      t.equal(upstream.behind, '', 'nothing came yet');
      if (early === much) t.ok(client.socket.writableLength > 0, 'the client waits');
      upstream.send(`${SWITCHED}first`);
      await client.has('first');
      await until('all of it came', () => upstream.behind.length === early.length);
      t.ok(upstream.behind === early, 'as it was sent');
      client.send('late');
      await until('what is sent later, too', () => upstream.behind.length === early.length + 4);
    }
  });

  t.test(`${name}: a refusal is delivered, and bytes behind the request are no request`, async (t) => {
    const { origin, port } = await tunnelStack(t, streams);
    origin.onHead = (end) => end.send(answer('403 Forbidden', 'refused'));
    const evil = 'GET /evil HTTP/1.1\r\nHost: h\r\n\r\n';
    for (const [sent, later] of [
      [upgrade() + evil, ''],
      [upgrade(), evil],
    ] as const) {
      const client = (await tunnelClient(t, port)).send(sent);
      await client.has('refused');
      if (later) client.send(later);
      await client.ended();
      t.equal(client.end, 'end', 'with all of the response');
      t.equal(client.status, 403);
      t.match(client.lines('connection'), [/^connection: close$/i]);
      t.equal(client.behind, 'refused');
      client.socket.end();
    }
    t.ok(origin.ends.every(({ text }) => !text.includes('evil')));
  });

  t.test(`${name}: a client that leaves before the response ends its request`, async (t) => {
    const { origin, port, outcomes } = await tunnelStack(t, streams);
    origin.onHead = () => undefined;
    const client = (await tunnelClient(t, port)).send(`${upgrade()}early`);
    const upstream = await origin.visited();
    client.socket.end();
    await upstream.ended();
    await until('it has ended', () => outcomes.length === 1);
    t.match(outcomes, [{ status: 499, cut: 'client left' }]);
    t.equal(upstream.behind, '');
  });

  t.test(`${name}: a 101 that nobody asked for is 502, and ends the upstream's connection`, async (t) => {
    const { origin, port } = await tunnelStack(t, streams);
    for (const text of [
      'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
      upgrade().replace('GET', 'HEAD'),
      upgrade().replace('websocket', 'foo'),
    ]) {
      const client = (await tunnelClient(t, port)).send(text);
      await client.has('\r\n\r\n');
      t.equal(client.status, 502);
      await origin.ends.at(-1)!.ended();
    }
  });

  t.test(`${name}: a 101 that is not what was asked for is 502`, async (t) => {
    const { origin, port } = await tunnelStack(t, streams);
    for (const [what, text] of Object.entries(WRONG)) {
      origin.onHead = (end) => end.send(text);
      const client = (await tunnelClient(t, port)).send(`${upgrade()}more`);
      await client.has('\r\n\r\n');
      t.equal(client.status, 502, what);
      await client.ended();
      const upstream = origin.ends.at(-1)!;
      await upstream.ended();
      t.equal(upstream.behind, '', 'nothing was sent to it');
    }
  });

  t.test(`${name}: a request for a tunnel is not sent twice`, async (t) => {
    const { origin, port } = await tunnelStack(t, streams, { client: { retries: 3 } });
    origin.onHead = (end) => end.send(answer('200 OK', 'ok', 'X: y'));
    const kept = (await tunnelClient(t, port)).send('GET /first HTTP/1.1\r\nHost: h\r\n\r\n');
    await kept.has('ok');
    const [reused] = origin.ends;
    reused!.socket.on('data', () => reused!.socket.destroy());
    origin.onHead = (end) => end.socket.destroy();
    for (let i = 0; i < 2; i++) {
      const client = (await tunnelClient(t, port)).send(upgrade(`/${i}`));
      await client.has('\r\n\r\n');
      t.equal(client.status, 502);
    }
    t.equal(origin.ends.length, 2, 'neither over the connection that was kept, nor over a new one');
    t.match(reused!.text, /GET \/0 /);
  });

  t.test(`${name}: it is sent to another upstream when nothing was sent`, async (t) => {
    const origin = await tunnelOrigin(t);
    const { port } = await tunnelStack(t, streams, {
      client: { upstreams: ['http://127.0.0.1:9', origin.url] },
    });
    for (let i = 0; i < 2; i++) {
      const { client, upstream } = await tunnel(t, port, origin);
      client.send('bytes');
      await upstream.has('bytes');
      t.equal(upstream.behind, 'bytes');
    }
  });
}
