import { connect } from 'node:net';
import t from 'tap';
import { launcher, startProgram } from '../support/command.js';
import { until } from '../support/wait.js';
import { program } from './program.js';
import { rawClient } from './raw-client.js';
import { recordingOrigin } from './recording-origin.js';

const MOST = 5;

t.test(
  'max_connections: the longest idle client closes first; while all are busy, new ones wait',
  async (t) => {
    const origin = await recordingOrigin(t);
    const gateway = await program(t, {
      routes: [{ path: '/', upstream: origin.url }],
      max_connections: MOST,
    });
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;
    const clients = [];
    for (let i = 0; i < MOST; i++) {
      const client = await rawClient(t, gateway.port);
      client.send(get(`/idle${i}`));
      await client.answered();
      clients.push(client);
    }
    // The first is idle for the shortest time.
    clients[0]!.send(get('/again'));
    await clients[0]!.answered(2);
    const next = await rawClient(t, gateway.port);
    next.send(get('/next'));
    t.equal((await next.answered())[0]!.status, 200);
    await clients[1]!.ended();
    t.equal(clients[1]!.end, 'end');
    t.strictSame(
      clients.map(({ end }) => end),
      ['open', 'end', 'open', 'open', 'open'],
    );

    const { onRequest } = origin;
    origin.onRequest = () => undefined;
    const busy = [...clients.filter(({ end }) => end === 'open'), next];
    const before = origin.requests.length;
    for (const client of busy) client.send(get('/busy'));
    await until('all are busy', () => origin.requests.length === before + MOST);
    origin.onRequest = onRequest;
    const waiting = await rawClient(t, gateway.port);
    waiting.send(get('/waiting'));
    // Its connection is in the backlog, and its request is not read.
    for (const client of busy) t.equal(client.end, 'open');
    const [first] = origin.requests.slice(before);
    t.equal(waiting.text, '');
    first!.answer('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    t.match((await waiting.answered())[0], { status: 200, body: 'GET /waiting' });
    t.equal(busy.filter(({ end }) => end !== 'open').length <= 1, true);
  },
);

t.test(
  'a descriptor limit that is too low for max_connections is reported',
  { skip: process.platform !== 'linux' && 'no descriptor limit' },
  async (t) => {
    const routes = [{ path: '/', upstream: 'http://127.0.0.1:1' }];
    const says = async (most: number) => {
      const config = { listen: ['127.0.0.1:0'], max_connections: most, routes };
      const cwd = t.testdir({ 'g.json': JSON.stringify(config) });
      const script = 'ulimit -n 1000; exec "$0" --config g.json';
      const gateway = startProgram(t, 'sh', ['-c', script, launcher('gateway')], { cwd });
      await gateway.says(/listening: .*\n/);
      await gateway.stop();
      return gateway.stderr;
    };
    t.match(
      await says(501),
      'max_connections is 501, but the descriptor limit of 1000 is used up by 500, each with one to its upstream; raise it (LimitNOFILE=, ulimit -n), or lower max_connections\n',
    );
    t.notMatch(await says(500), 'max_connections');
  },
);

t.test(
  'connections that no descriptor is left for wait, and that is reported',
  { skip: process.platform !== 'linux' && 'no descriptor limit' },
  async (t) => {
    const LIMIT = 100;
    const config = {
      listen: ['127.0.0.1:0'],
      max_connections: 10_000,
      routes: [{ path: '/', respond: { body: 'here' } }],
    };
    const cwd = t.testdir({ 'g.json': JSON.stringify(config) });
    const script = `ulimit -n ${LIMIT}; exec "$0" --config g.json --engine linux --workers 1`;
    const gateway = startProgram(t, 'sh', ['-c', script, launcher('gateway')], { cwd });
    await gateway.says('listening: ');
    const port = await gateway.port();
    const sockets = Array.from({ length: LIMIT }, () => connect(port, '127.0.0.1'));
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
    });
    await gateway.says(/listening: 127\.0\.0\.1:0: too many open files; connections wait meanwhile\n/);
    const last = sockets.pop()!;
    let text = '';
    last.on('data', (bytes) => {
      text += bytes;
    });
    last.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    for (const socket of sockets.splice(0)) socket.destroy();
    await until('the last one is served', () => text.endsWith('here'));
  },
);
