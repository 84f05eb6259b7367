import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { Client, FormData, fetch, Pool } from 'undici';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { front } from './front.js';
import { origin } from './running.js';

/** A request of node:http. @param body its pieces, one write each */
async function ask(
  url: string,
  options: RequestOptions = {},
  body: Iterable<string | Buffer> = [],
): Promise<{ response: IncomingMessage; body: string; reused: boolean }> {
  const asking = request(url, options);
  const answered = once(asking, 'response');
  for (const piece of body) if (!asking.write(piece)) await once(asking, 'drain');
  asking.end();
  const [response] = (await answered) as [IncomingMessage];
  return { response, body: await text(response), reused: asking.reusedSocket };
}

/** Pieces of random sizes, with their digest. */
function pieces(random: Random, count: number): { pieces: Buffer[]; digest: string } {
  const made = Array.from({ length: count }, () =>
    Buffer.alloc(random.integer(1, 100_000), random.next() * 256),
  );
  return { pieces: made, digest: sha(Buffer.concat(made)) };
}

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function read(request: Readable): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const bytes of request) all.push(bytes);
  return Buffer.concat(all);
}

t.test('node:http, one kept connection', async (t) => {
  const url = await front(t, await origin(t));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  for (let i = 0; i < 50; i++) {
    const { body, reused } = await ask(`${url}/${i}`, { agent });
    if (body !== `/${i}` || reused !== i > 0) t.fail(`${i}: ${body} ${reused}`);
  }
  t.pass('fifty answers');
});

t.test('node:http, interim responses and trailers', async (t) => {
  const upstream = await origin(t, async (request, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    await read(request);
    response.writeHead(200, { trailer: 'x-sum', 'content-type': 'text/plain' });
    response.write(`${request.trailers['x-sent']}`);
    response.addTrailers({ 'x-sum': '42' });
    response.end();
  });
  const url = await front(t, upstream);
  const asking = request(url, { method: 'POST', headers: { trailer: 'x-sent', te: 'trailers' } });
  const hints: unknown[] = [];
  asking.on('information', ({ statusCode, headers }) => hints.push([statusCode, headers.link]));
  asking.write('body');
  asking.addTrailers({ 'x-sent': 'by the client' });
  asking.end();
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  t.equal(await text(response), 'by the client');
  t.strictSame(response.trailers, { 'x-sum': '42' });
  t.strictSame(hints, [[103, '</style.css>; rel=preload']]);
});

t.test('node:http, bodies of random pieces both ways at the same time', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const upstream = await origin(t, (request, response) => request.pipe(response));
  const url = await front(t, upstream);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const echo = async (chunked: boolean) => {
    const sent = pieces(random, 40);
    const length = sent.pieces.reduce((sum, { length }) => sum + length, 0);
    const asking = request(url, {
      ...{ agent, method: 'PUT' },
      headers: chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': length },
    });
    const got = once(asking, 'response').then(([response]) => read(response));
    for (const piece of sent.pieces) {
      if (!asking.write(piece)) await once(asking, 'drain');
      if (random.next() < 0.2) await turn();
    }
    asking.end();
    t.equal(sha(await got), sent.digest);
  };
  for (let i = 0; i < 3; i++) await Promise.all(Array.from({ length: 8 }, (_, n) => echo(n % 2 === 0)));
});

t.test('node:http leaves in the middle, and others do not notice', async (t) => {
  let left = 0;
  const upstream = await origin(t, (request, response) => {
    if (request.url === '/short') response.end('short');
    else {
      response.write('x'.repeat(100_000));
      response.once('close', () => left++);
    }
  });
  const url = await front(t, upstream);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  for (let i = 0; i < 20; i++) {
    const asking = request(`${url}/long`, { agent });
    asking.on('error', () => undefined);
    asking.end();
    await once(asking, 'response');
    asking.destroy();
    t.equal((await ask(`${url}/short`, { agent })).body, 'short');
  }
  await until('all requests of the origin ended', () => left === 20);
});

t.test('undici sends requests without waiting for responses', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const upstream = await origin(t, async (request, response) => {
    for (let turns = Number(request.headers['x-turns']); turns > 0; turns--) await turn();
    response.end(request.url);
  });
  const client = new Client(await front(t, upstream), { pipelining: 20 });
  t.teardown(() => client.destroy());
  const answers = Array.from({ length: 300 }, async (_, i) => {
    const headers = { 'x-turns': `${random.integer(0, 20)}` };
    const { statusCode, body } = await client.request({ method: 'GET', path: `/${i}`, headers });
    return `${statusCode} ${await body.text()}`;
  });
  t.strictSame(
    await Promise.all(answers),
    Array.from({ length: 300 }, (_, i) => `200 /${i}`),
    'each has its own',
  );
});

t.test('undici, a pool of connections with uploads and trailers', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const upstream = await origin(t, async (request, response) => {
    response.writeHead(200, { trailer: 'digest' });
    response.write('received');
    response.addTrailers({ digest: sha(await read(request)) });
    response.end();
  });
  const pool = new Pool(await front(t, upstream), { connections: 10 });
  t.teardown(() => pool.destroy());
  const uploads = Array.from({ length: 50 }, async () => {
    const sent = pieces(random, 5);
    const body = Readable.from(sent.pieces);
    const answer = await pool.request({ method: 'POST', path: '/', body });
    t.equal(await answer.body.text(), 'received');
    t.equal(answer.trailers.digest, sent.digest);
  });
  await Promise.all(uploads);
});

t.test('fetch: a form, a stream as body, a response that is given up', async (t) => {
  let left = false;
  const upstream = await origin(t, async (request, response) => {
    if (request.url === '/endless') {
      response.once('close', () => {
        left = true;
      });
      response.write('begin');
    } else response.end(await read(request));
  });
  const url = await front(t, upstream);
  const form = new FormData();
  form.set('name', 'value');
  form.set('file', new Blob(['content']), 'file.txt');
  const formed = await (await fetch(url, { method: 'POST', body: form })).text();
  t.match(formed, /name="file"; filename="file\.txt"\r\n[\s\S]*\r\ncontent\r\n/);

  async function* parts() {
    for (let i = 0; i < 100; i++) {
      yield Buffer.from(`${i},`);
      await turn();
    }
  }
  const streamed = await fetch(url, { method: 'POST', body: parts(), duplex: 'half' });
  t.equal(await streamed.text(), Array.from({ length: 100 }, (_, i) => `${i},`).join(''));

  const giveUp = new AbortController();
  const endless = await fetch(`${url}/endless`, { signal: giveUp.signal });
  t.equal(endless.status, 200);
  giveUp.abort();
  await until('the request of the origin ended', () => left);
});
