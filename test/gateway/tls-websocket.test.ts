// WebSocket by TLS on both sides.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { gateway } from './running.js';

const COUNT = 40;
const SIZE = 256 * 1024;

t.test('wss to an https upstream: 10 MB both ways, then the close code', async (t) => {
  const authority = await Authority.make(t);
  const site = await authority.sign({ dns: ['a.test'] });
  const own = await authority.sign({ ips: ['127.0.0.1'] });
  const server = createServer({ cert: own.cert, key: own.key }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new WebSocketServer({ server });
  const codes: number[] = [];
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => socket.send(data));
    socket.on('close', (code) => codes.push(code));
  });
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const running = await gateway(t, {
    ...{ listenAddr: 'tls://127.0.0.1:0', tlsCert: site.certFile, tlsKey: site.keyFile },
    config: { routes: [{ path: '/', upstream: `https://127.0.0.1:${port}`, tls_ca: authority.file }] },
  });
  const client = new WebSocket(`wss://127.0.0.1:${running.port}/`, {
    ...{ servername: 'a.test', ca: authority.pem, headers: { host: 'a.test' } },
  });
  t.teardown(() => client.terminate());
  await once(client, 'open');
  const sent = createHash('sha256');
  const got = createHash('sha256');
  let count = 0;
  client.on('message', (data: Buffer) => {
    got.update(data);
    count++;
  });
  for (let i = 0; i < COUNT; i++) {
    const bytes = randomBytes(SIZE);
    sent.update(bytes);
    client.send(bytes);
  }
  await until('all came back', () => count === COUNT, 30_000);
  t.equal(got.digest('hex'), sent.digest('hex'));
  client.close(4321);
  await once(client, 'close');
  await until('the upstream is told', () => codes.length === 1);
  t.strictSame(codes, [4321]);
});
