// Clients as programs have them, by TLS through 4 workers to an https origin.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { fetch, Agent as UndiciAgent, WebSocket as UndiciSocket } from 'undici';
import { WebSocket } from 'ws';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { gateway, IS_NODE, type RunningGateway } from './running.js';
import { echo, event, exchanged, socketServer } from './web-sockets.js';

const FILE = randomBytes(10_000_000);
const authority = await Authority.make(t);
const pair = await authority.sign({ ips: ['127.0.0.1'] });
const trust = { ca: authority.pem };

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/file') response.end(FILE);
  else if (request.method === 'POST') request.pipe(response);
  else response.end(request.url);
}

async function secured(
  t: Test,
  onSocket: (socket: WebSocket) => void,
): Promise<{ running: RunningGateway; at: string }> {
  const upstream = await socketServer(t, onSocket, { pair, answer });
  const running = await gateway(t, {
    ...{ listenAddr: 'tls://127.0.0.1:0', tlsCert: pair.certFile, tlsKey: pair.keyFile },
    workers: IS_NODE ? 1 : 4,
    config: { routes: [{ path: '/', upstream, tls_ca: authority.file }] },
  });
  return { running, at: `127.0.0.1:${running.port}` };
}

t.test('ws: 50 MB each way at once, then the close code', async (t) => {
  const ends: WebSocket[] = [];
  const { at } = await secured(t, (socket) => ends.push(socket));
  const client = new WebSocket(`wss://${at}/`, trust);
  t.teardown(() => client.terminate());
  await once(client, 'open');
  await until('the upstream has it', () => ends.length === 1);
  ends.push(client);
  await exchanged(t, ends);
  client.close(4321, 'done');
  const [code, reason] = await once(ends[0]!, 'close');
  t.strictSame([code, String(reason)], [4321, 'done']);
});

t.test('undici: files by fetch, up and down, and a WebSocket', async (t) => {
  const { at } = await secured(t, echo);
  const dispatcher = new UndiciAgent({ connect: trust });
  t.teardown(() => dispatcher.destroy());
  const files = Array.from({ length: 6 }, async (_, i) => {
    const options = i % 2 ? { method: 'POST', body: FILE } : {};
    const response = await fetch(`https://${at}/file${i % 2 ? '?up' : ''}`, { dispatcher, ...options });
    t.equal(response.status, 200);
    t.equal(sha(Buffer.from(await response.arrayBuffer())), sha(FILE));
  });
  await Promise.all(files);
  await t.rejects(fetch(`https://${at}/file`), 'it does not know the authority');
  const client = new UndiciSocket(`wss://${at}/`, { dispatcher });
  client.binaryType = 'arraybuffer';
  await event(client, 'open');
  client.send(FILE);
  t.equal(sha(Buffer.from((await event(client, 'message')).data as ArrayBuffer)), sha(FILE));
  client.close(3000, 'done');
  t.match(await event(client, 'close'), { code: 3000, reason: 'done', wasClean: true });
});

t.test('node:https: an agent resumes its session with any of the workers', async (t) => {
  const ALONE = 40;
  const TOGETHER = 80;
  const { running, at } = await secured(t, echo);
  // Each request has a connection of its own; the agent keeps the session.
  const agent = new Agent({ keepAlive: false, ...trust });
  t.teardown(() => agent.destroy());
  const ask = async (path: string) => {
    const asking = request(`https://${at}${path}`, { agent }).end();
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    t.equal(await text(response), path);
  };
  for (let i = 0; i < ALONE; i++) await ask(`/${i}`);
  const count = (result: string) => running.metric('tls_handshakes', { result });
  t.strictSame([count('full'), count('resumed'), count('failed')], [1, ALONE - 1, 0]);
  await Promise.all(Array.from({ length: TOGETHER }, (_, i) => ask(`/together/${i}`)));
  t.strictSame([count('full'), count('resumed'), count('failed')], [1, ALONE - 1 + TOGETHER, 0]);
});

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
