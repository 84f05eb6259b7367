// WebSocket by the client and server of ws, and the client of undici.
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import t from 'tap';
import { WebSocket as UndiciSocket } from 'undici';
import { WebSocket } from 'ws';
import { until } from '../support/wait.js';
import { front } from './front.js';
import { echo, event, exchanged, socketServer } from './web-sockets.js';

t.test('50 MB each way at once', async (t) => {
  const ends: WebSocket[] = [];
  const url = await front(t, await socketServer(t, (socket) => ends.push(socket)));
  const client = new WebSocket(url.replace('http', 'ws'));
  await once(client, 'open');
  await until('the server has it', () => ends.length === 1);
  ends.push(client);
  await exchanged(t, ends);
  client.close(1000, 'done');
  const [code, reason] = await once(ends[0]!, 'close');
  t.strictSame([code, String(reason)], [1000, 'done']);
});

t.test('ws: path, fields, subprotocol, texts, pings, compression, and close codes both ways', async (t) => {
  const requests: IncomingMessage[] = [];
  const url = await front(
    t,
    await socketServer(
      t,
      (socket, request) => {
        requests.push(request);
        echo(socket);
        socket.on('message', (data) => {
          if (String(data) === 'close') socket.close(4001, 'as asked');
        });
      },
      { perMessageDeflate: { threshold: 0 } },
    ),
  );
  const client = new WebSocket(`${url.replace('http', 'ws')}/chat?a=b`, ['one', 'two'], {
    perMessageDeflate: true,
    origin: 'https://example.com',
    headers: { cookie: 'id=7' },
  });
  await once(client, 'open');
  t.equal(client.protocol, 'one');
  t.match(client.extensions, /permessage-deflate/);
  const [{ url: path, headers }] = requests as [IncomingMessage];
  t.equal(path, '/chat?a=b');
  t.match(headers, { origin: 'https://example.com', cookie: 'id=7', 'x-forwarded-for': '127.0.0.1' });
  for (const text of ['', 'grün', 'x'.repeat(100_000)]) {
    client.send(text);
    const [data, isBinary] = await once(client, 'message');
    t.strictSame([String(data) === text, isBinary], [true, false]);
  }
  client.ping('are you there');
  const [data] = await once(client, 'pong');
  t.equal(String(data), 'are you there');
  client.send('close');
  const [code, reason] = await once(client, 'close');
  t.strictSame([code, String(reason)], [4001, 'as asked']);
});

t.test('ws: a refusal of the server reaches the client', async (t) => {
  const url = await front(
    t,
    await socketServer(t, echo, { verifyClient: (_, done) => done(false, 418, 'no') }),
  );
  const client = new WebSocket(url.replace('http', 'ws'));
  const [, response] = (await once(client, 'unexpected-response')) as [unknown, IncomingMessage];
  t.equal(response.statusCode, 418);
  client.on('error', () => undefined).terminate();
});

t.test('ws: a terminated peer is noticed as such (1006)', async (t) => {
  const servers: WebSocket[] = [];
  const url = await front(t, await socketServer(t, (socket) => servers.push(socket)));
  for (const byClient of [true, false]) {
    const client = new WebSocket(url.replace('http', 'ws'));
    await once(client, 'open');
    await until('the server has it', () => servers.length === (byClient ? 1 : 2));
    const [first, second] = byClient ? [client, servers[0]!] : [servers[1]!, client];
    const closed = once(
      second.on('error', () => undefined),
      'close',
    );
    first.terminate();
    t.equal((await closed)[0], 1006);
  }
});

t.test('undici: texts, binary messages and a close code', async (t) => {
  const url = await front(t, await socketServer(t, echo));
  const client = new UndiciSocket(url.replace('http', 'ws'));
  client.binaryType = 'arraybuffer';
  await event(client, 'open');
  client.send('grün');
  t.equal((await event(client, 'message')).data, 'grün');
  const bytes = randomFillSync(Buffer.alloc(1_000_000));
  client.send(bytes);
  t.ok(Buffer.from((await event(client, 'message')).data as ArrayBuffer).equals(bytes));
  client.close(3000, 'done');
  t.match(await event(client, 'close'), { code: 3000, reason: 'done', wasClean: true });
});
