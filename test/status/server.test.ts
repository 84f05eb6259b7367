import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { start } from '../support/command.js';
import { tcpServer, udpSend, udpSink } from '../support/net.js';
import { shortFolder } from '../support/short-folder.js';
import { until } from '../support/wait.js';
import { ask, sample, startShown } from './http.js';

t.test('metrics, counters, health, history and the page are served', async (t) => {
  const sink = await udpSink(t);
  const to = `127.0.0.1:${sink.port}`;
  const args = ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', to];
  const { program, url } = await startShown(t, 'forward', args);
  await udpSend(await program.port(), ['one\n', 'two\n']);
  const received = async () =>
    sample((await ask(`${url}/metrics`)).body, 'mproxy_received_datagrams_total{source="127.0.0.1:0"}');
  await until('both are counted', async () => (await received()) === 2);
  const { headers, body } = await ask(`${url}/metrics`);
  t.match(headers, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
  t.equal(sample(body, `mproxy_sent_bytes_total{source="127.0.0.1:0",sink="${to}"}`), 8);
  t.match(body, /^mproxy_build_info\{program="mproxy-forward",version=".*",node=".*"\} 1$/m);
  for (const name of ['cpu_seconds_total', 'resident_memory_bytes', 'start_time_seconds'])
    t.ok(sample(body, `process_${name}`)! > 0, name);
  const open = await ask(`${url}/metrics`, {
    headers: { accept: 'application/openmetrics-text;version=1.0.0' },
  });
  t.match(open.headers, { 'content-type': /^application\/openmetrics-text; version=1\.0\.0/ });
  t.match(open.body, /^# TYPE mproxy_received_datagrams counter$/m);
  t.match(open.body, /\n# EOF\n$/);
  const stats = JSON.parse((await ask(`${url}/stats`)).body);
  t.match(stats, {
    ...{ program: 'mproxy-forward', state: 'running', healthy: true, problems: [], peers: [] },
    routes: [{ source: { name: '127.0.0.1:0', datagrams: 2 }, sinks: [{ name: to, datagrams: 2 }] }],
  });
  t.match(JSON.parse((await ask(`${url}/history`)).body), { stepSeconds: 5, steps: 180 });
  t.match(await ask(`${url}/healthz`), { status: 200, body: 'ok\n' });
  const page = await ask(`${url}/`);
  t.match(page.headers['content-security-policy'], /^default-src 'none'; script-src 'sha256-.{44}'; /);
  t.ok(page.body.length < 40_000);
  t.equal(await program.stop(), 0);
});

t.test('GET and HEAD only, without a body; what is not a request is closed', async (t) => {
  const { program, url } = await startShown(t, 'server', [
    '--path',
    '/dev/null',
    '--listen-addr',
    '127.0.0.1:0',
  ]);
  const head = await ask(`${url}/stats`, { method: 'HEAD' });
  t.match(head, { status: 200, body: '' });
  t.ok(Number(head.headers['content-length']) > 100);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])
    t.match(
      await ask(url, { method }),
      { status: method === 'POST' || method === 'PUT' ? 413 : 405 },
      method,
    );
  t.equal((await ask(url, { headers: { 'content-length': 4 } }, 'body')).status, 413);
  for (const path of ['/nothing', '/../etc/passwd', '/constructor', '//', '/stats/'])
    t.equal((await ask(`${url}${path}`)).status, 404, path);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.write('\0\xff\r\n\r\n');
  await once(socket, 'close');
  t.match(answer, /^HTTP\/1\.1 400 /);
  t.equal(await program.stop(), 0);
});

t.test('a slow client is cut, and many do not keep others out', async (t) => {
  const { program, url } = await startShown(t, 'server', [
    '--path',
    '/dev/null',
    '--listen-addr',
    '127.0.0.1:0',
  ]);
  await program.port();
  const port = Number(new URL(url).port);
  const slow: Socket[] = [];
  t.teardown(() => {
    for (const socket of slow) socket.destroy();
  });
  let closed = 0;
  for (let i = 0; i < 300; i++) {
    const socket = connect(port, '127.0.0.1');
    socket
      .resume()
      .on('error', () => undefined)
      .on('close', () => closed++);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
    slow.push(socket);
  }
  await until('those beyond the limit are closed', () => closed >= 200);
  t.equal((await ask(`${url}/healthz`)).status, 200);
  await until('all are closed', () => closed === 300, 10_000);
  t.equal(await program.stop(), 0);
});

t.test('--allow, and --status-allow, name who is served', async (t) => {
  const listen = ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0'];
  for (const args of [
    ['--allow', '192.0.2.0/24'],
    ['--status-allow', '192.0.2.0/24'],
  ]) {
    const { program, url } = await startShown(t, 'server', [...listen, ...args]);
    await t.rejects(ask(url), { code: 'ECONNRESET' });
    await program.stop();
  }
  const args = ['--allow', '192.0.2.0/24', '--status-allow', '127.0.0.0/8'];
  const { url } = await startShown(t, 'server', [...listen, ...args]);
  t.equal((await ask(url)).status, 200);
});

t.test('health: silence fails it, and the reason is one line', async (t) => {
  const listen = ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0', '--health-idle', '1500ms'];
  const { program, url } = await startShown(t, 'server', listen);
  const port = await program.port();
  await until('it is silent', async () => (await ask(`${url}/healthz`)).status === 503);
  t.match((await ask(`${url}/healthz`)).body, /^127\.0\.0\.1:0: nothing received for \d s\n$/);
  t.equal(sample((await ask(`${url}/metrics`)).body, 'mproxy_healthy'), 0);
  const healthy = async () => {
    await udpSend(port, ['line\n']);
    return (await ask(`${url}/healthz`)).status === 200;
  };
  await until('it is healthy again', healthy);
});

t.test('a Unix socket, also one that a killed program left; one in use is an error', async (t) => {
  const folder = shortFolder(t);
  const path = join(folder, 'status');
  const args = ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0', '--status-addr', `unix:${path}`];
  const killed = start(t, 'server', args);
  await killed.says(`status: unix:${path}\n`);
  await killed.kill();
  const server = start(t, 'server', args);
  await server.says(`status: unix:${path}\n`);
  const healthy = async () => (await ask('http://status/healthz', { socketPath: path })).status === 200;
  await until('it is healthy', healthy);
  const other = start(t, 'server', args);
  t.equal(await other.exited, 1);
  t.match(other.stderr, `--status-addr: unix:${path}: port already in use`);
  writeFileSync(`${path}.file`, 'kept');
  const file = start(t, 'server', [...args.slice(0, -1), `unix:${path}.file`]);
  t.equal(await file.exited, 1);
  t.equal(await server.stop(), 0);
  t.notOk(existsSync(path), 'the socket is removed at the end');
});

/** Within the limit on an answer, but much when it is parsed. */
const HUGE = `{"problems":[],"routes":[${'{},'.repeat(1.3e6)}0]}`;

t.test('a thread that fails is replaced at the same port, and the data pass', async (t) => {
  let isHuge = true;
  const peer = createServer((_, response) => response.end(isHuge ? HUGE : '{"problems":[],"routes":[]}'));
  peer.listen(0, '127.0.0.1');
  await once(peer, 'listening');
  t.teardown(() => peer.close());
  const { port } = peer.address() as { port: number };
  const sink = await udpSink(t);
  const peers = Array.from({ length: 3 }, (_, i) => ['--status-peer', `http://127.0.0.1:${port}/?${i}`]);
  const { program, url } = await startShown(t, 'forward', [
    ...[
      '--udp-listen-addr',
      '127.0.0.1:0',
      '--udp-downstream-addr',
      `127.0.0.1:${sink.port}`,
      ...peers.flat(),
    ],
  ]);
  const to = await program.port();
  await until(
    'it fails',
    async () => {
      await ask(`${url}/stats`).catch(() => undefined);
      return /status: its thread ended: .*memory.*; another one starts in/.test(program.stderr);
    },
    60_000,
  );
  isHuge = false;
  await udpSend(to, ['line\n']);
  await sink.has(5);
  const served = async () => (await ask(`${url}/healthz`).catch(() => undefined))?.status === 200;
  await until('the next one serves', served, 60_000);
  const { body } = await ask(`${url}/metrics`);
  t.equal(sample(body, 'mproxy_received_datagrams_total{source="127.0.0.1:0"}'), 1);
  t.equal(await program.stop(), 0);
});

t.test('events: the last ones first, then counters every second and what happens', async (t) => {
  const upstream = await tcpServer(t, (socket) => socket.end('line\n'));
  const from = ['--tcp-connect-addr', `127.0.0.1:${upstream.port}`, '--tee'];
  const { program, url } = await startShown(t, 'forward', from);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  t.teardown(() => socket.destroy());
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
  await until('states', () => text.split('event: stats\n').length > 3, 10_000);
  t.match(text, /event: notice\ndata: \{.*"upstream_failed".*\}\n/);
  t.equal(await program.stop(), 0, 'an open reader does not delay the stop');
});

t.test('a peer is shown with its counters, and one that is gone with the reason', async (t) => {
  const listen = ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0'];
  const first = await startShown(t, 'server', listen);
  const { url } = await startShown(t, 'server', [...listen, '--status-peer', first.url]);
  const peer = async () => JSON.parse((await ask(`${url}/stats`)).body).peers[0];
  await until('its counters', async () => (await peer()).stats?.program === 'mproxy-server');
  await first.program.stop();
  await until('it is gone', async () => (await peer()).error === 'connection refused', 10_000);
});

t.test('wrong options are errors that name the flag', async (t) => {
  const cases = [
    [['--health-idle', '5s'], /--health-idle: there is no status to show; use --status-addr\n$/],
    [['--status-addr', 'nonsense'], /--status-addr: nonsense: /],
    [['--status-addr', `unix:/${'x'.repeat(107)}`], /--status-addr: unix:\/x*: longer than 107 bytes/],
    [['--status-addr', 'unix:'], /--status-addr: unix:: the path is missing/],
    [['--status-addr', '127.0.0.1:0', '--status-peer', 'https://x'], /--status-peer: https:\/\/x: /],
    [['--status-addr', '127.0.0.1:0', '--status-allow', '10.0.0.0/33'], /--status-allow: 10\.0\.0\.0\/33: /],
  ] satisfies [string[], RegExp][];
  for (const [args, words] of cases) {
    const server = start(t, 'server', ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0', ...args]);
    t.equal(await server.exited, 2);
    t.match(server.stderr, words);
  }
});
