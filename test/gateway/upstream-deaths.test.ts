// An upstream that dies in every phase of a request: status, log record, pool, and POST sent at most once.
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { startProgram } from '../support/command.js';
import { freeTcpPort } from '../support/net.js';
import { until } from '../support/wait.js';
import { type LogLine, type Program, program } from './program.js';
import { rawClient } from './raw-client.js';
import { type RecordingOrigin, recordingOrigin } from './recording-origin.js';

const DEATHS: Record<string, (socket: Socket) => void> = {
  ends: (socket) => socket.end(),
  resets: (socket) => socket.resetAndDestroy(),
};

/** In which the upstream dies: what it has sent of a response until then, and what the client gets. */
const PHASES: Record<string, { sends: string; status: number; body?: string }> = {
  'before the head': {
    sends: '',
    status: 502,
    body: 'the upstream closed the connection before it answered\n',
  },
  'in the head': {
    sends: 'HTTP/1.1 200 OK\r\nContent-Le',
    status: 502,
    body: 'the upstream sent an invalid response\n',
  },
  'after an interim head': {
    sends: 'HTTP/1.1 103 Early Hints\r\n\r\n',
    status: 502,
    body: 'the upstream closed the connection before it answered\n',
  },
  'after the head': { sends: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', status: 200 },
  'in the body': { sends: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel', status: 200 },
  'in a chunk': { sends: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel', status: 200 },
};

async function proxied(t: Test): Promise<{ origin: RecordingOrigin; gateway: Program }> {
  const origin = await recordingOrigin(t);
  const gateway = await program(t, { routes: [{ path: '/', upstream: origin.url }] });
  return { origin, gateway };
}

/** The next requests are served, by one connection. */
async function worksAgain(t: Test, { port }: Program, origin: RecordingOrigin): Promise<void> {
  t.equal(origin.open, 0, 'its connection is closed');
  const { onRequest } = origin;
  let last = '';
  origin.onRequest = (received) => received.answer(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${last}\r\nok`);
  const client = await rawClient(t, port);
  for (const count of [1, 2]) {
    client.send('GET /again HTTP/1.1\r\nHost: h\r\n\r\n');
    t.equal((await client.answered(count))[count - 1]!.body, 'ok');
    await until('of which one is kept', () => origin.open === 2 - count);
    last = 'Connection: close\r\n';
  }
  origin.onRequest = onRequest;
}

for (const [how, die] of Object.entries(DEATHS)) {
  for (const [phase, { sends, status, body }] of Object.entries(PHASES)) {
    t.test(`${phase} it ${how}`, async (t) => {
      const { origin, gateway } = await proxied(t);
      for (const method of ['GET', 'POST']) {
        const path = `/${method}`;
        const times = () => origin.requests.filter(({ target }) => target === path).length;
        origin.onRequest = (received) => {
          if (sends === '') die(received.socket);
          else received.answer(sends);
        };
        const client = await rawClient(t, gateway.port);
        client.send(`${method} ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody`);
        const parts = sends === '' ? [] : sends.split('\r\n\r\n');
        if (sends !== '') {
          const { socket } = await origin.received(origin.requests.length + 1 - times());
          if (status === 200)
            await until(
              'its beginning',
              () => client.text.includes('\r\n\r\n') && client.text.includes(parts.at(-1)!.slice(-3)),
            );
          else if (parts.length > 1) await until('the interim head', () => client.text.includes(' 103 '));
          die(socket);
        }
        await until('an end', () => client.end !== 'open' || client.finals.length > 0);
        const last = client.answers.at(-1)!;
        t.match(last, { status, isComplete: status === 502, ...(body !== undefined && { body }) }, method);
        const [line] = await gateway.logged(path);
        t.match(line, { method, status, upstream: origin.url, received: 4 } satisfies Partial<LogLine>);
        t.equal(line!.cut !== undefined, status === 200, String(line!.cut));
        const isTried = method === 'GET' && sends === '';
        t.equal(times(), isTried ? 2 : 1, 'it is sent again only if that may be');
        t.equal(line!.retries, isTried ? 1 : undefined);
        await worksAgain(t, gateway, origin);
      }
    });
  }

  t.test(`while it is sent a request it ${how}`, async (t) => {
    const { origin, gateway } = await proxied(t);
    origin.onHead = ({ socket }) => socket.pause();
    const client = await rawClient(t, gateway.port);
    client.send('POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n');
    const { socket } = await origin.received();
    const piece = Buffer.alloc(1 << 20);
    for (let i = 0; i < 40; i++) client.socket.write(piece);
    await until('some of it was taken', () => client.socket.writableLength <= 38 * piece.length);
    die(socket);
    socket.destroy();
    const [answer] = await client.answered();
    t.match(answer, { status: 502, body: 'the upstream closed the connection before it answered\n' });
    const [line] = await gateway.logged('/upload');
    t.match(line, { status: 502, upstream: origin.url });
    t.ok(line!.received > 0 && line!.received < 100_000_000);
    t.equal(origin.requests.length, 1);
    origin.onHead = () => undefined;
    await worksAgain(t, gateway, origin);
  });

  t.test(`after a connection is accepted it ${how}`, async (t) => {
    const { origin, gateway } = await proxied(t);
    origin.onConnection = (socket) => {
      origin.onConnection = () => undefined;
      die(socket);
    };
    origin.onRequest = (received) =>
      received.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
    const client = await rawClient(t, gateway.port);
    client.send('GET /get HTTP/1.1\r\nHost: h\r\n\r\n');
    t.match((await client.answered())[0], { status: 200, body: 'ok' }, 'GET is tried again');
    origin.onConnection = die;
    client.send('POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody');
    t.equal((await client.answered(2))[1]!.status, 502);
    t.ok(origin.requests.filter(({ target }) => target === '/post').length <= 1);
    origin.onConnection = () => undefined;
    await worksAgain(t, gateway, origin);
  });
}

t.test('it refuses connections', async (t) => {
  const port = await freeTcpPort();
  const gateway = await program(t, { routes: [{ path: '/', upstream: `http://127.0.0.1:${port}` }] });
  for (const method of ['GET', 'POST']) {
    const client = await rawClient(t, gateway.port);
    client.send(`${method} /${method} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody`);
    t.match((await client.answered())[0], { status: 502, body: 'the upstream refused the connection\n' });
    const [line] = await gateway.logged(`/${method}`);
    t.match(line, { status: 502, upstream: `http://127.0.0.1:${port}` });
  }
});

/** An origin in a process of its own, which does in each phase what its path says, and prints what it has read. */
const SCRIPT = `
  const server = require('node:net').createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      const path = String(bytes).split(' ')[1];
      process.stderr.write(path + '\\n');
      if (path === '/head') socket.write('HTTP/1.1 200 OK\\r\\nContent-Le');
      if (path === '/body') socket.write('HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhel');
      if (path === '/again') socket.write('HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok');
    });
  }).listen(+process.argv[1], '127.0.0.1', () => process.stderr.write('ready\\n'));`;

for (const [path, status] of [
  ['/before', 502],
  ['/head', 502],
  ['/body', 200],
] as const) {
  t.test(`its process is killed: ${path.slice(1)}`, async (t) => {
    const port = await freeTcpPort();
    const upstream = startProgram(t, process.execPath, ['-e', SCRIPT, String(port)]);
    await upstream.says('ready');
    const gateway = await program(t, { routes: [{ path: '/', upstream: `http://127.0.0.1:${port}` }] });
    const client = await rawClient(t, gateway.port);
    client.send(`POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody`);
    await upstream.says(`${path}\n`);
    if (status === 200) await until('its beginning', () => client.text.endsWith('hel'));
    await upstream.kill();
    await until('an end', () => client.end !== 'open' || client.finals.length > 0);
    t.match(client.answers[0], { status, isComplete: status === 502 });
    const [line] = await gateway.logged(path);
    t.match(line, { status, method: 'POST' });
    const next = startProgram(t, process.execPath, ['-e', SCRIPT, String(port)]);
    await next.says('ready');
    const again = await rawClient(t, gateway.port);
    again.send('GET /again HTTP/1.1\r\nHost: h\r\n\r\n');
    t.match((await again.answered())[0], { status: 200, body: 'ok' });
    t.notMatch(next.stderr, path, 'it is not sent again');
  });
}
