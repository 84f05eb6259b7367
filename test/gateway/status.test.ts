import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ask, sample, startShown } from '../status/http.js';
import { until } from '../support/wait.js';
import { Client, gateway, IS_NODE, origin } from './running.js';

const noTool = spawnSync('promtool', ['--version']).status !== 0 && 'promtool is missing';

t.test('metrics, health, counters and the access log tell of requests', async (t) => {
  const log = join(t.testdir(), 'access.log');
  const to = await origin(t, (request, response) => {
    response.statusCode = Number(/\d+/.exec(request.url!)?.[0] ?? 200);
    response.end('0123456789');
  });
  const { program, url } = await startShown(t, 'gateway', [
    ...['--listen-addr', '127.0.0.1:0', '--route', `/api=${to}`, '--route', '/dead=http://127.0.0.1:9'],
    ...['--access-log', log, '--workers', '2'],
  ]);
  const port = await program.port();
  const client = new Client(t, port);
  for (const path of ['/api/200', '/api/404', '/api/500', '/dead', '/nowhere']) await client.get(path);
  const rejected = new Client(t, port);
  rejected.socket.write('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
  t.equal((await rejected.response()).status, 400);

  let metrics = '';
  // Answers are of counters that may be 100 ms old.
  await until('all are counted', async () => {
    metrics = (await ask(`${url}/metrics`)).body;
    const counts = [...metrics.matchAll(/^mproxy_http_requests_total\{.*\} (\d+)$/gm)];
    return counts.reduce((sum, [, count]) => sum + Number(count), 0) === 6;
  });
  const requests = (route: string, status: string) =>
    sample(
      metrics,
      `mproxy_http_requests_total{route="${route}",status_class="${status}",protocol="HTTP/1.1"}`,
    );
  t.strictSame(
    ['2xx', '3xx', '4xx', '5xx'].map((status) => requests('/api', status)),
    [1, 0, 1, 1],
  );
  t.equal(requests('/dead', '5xx'), 1);
  t.equal(requests('none', '4xx'), 2);
  t.equal(sample(metrics, 'mproxy_http_request_duration_seconds_count{route="/api"}'), 3);
  t.equal(sample(metrics, 'mproxy_http_sent_body_bytes_total{route="/api"}'), 30);
  t.match(metrics, /mproxy_http_connects_total\{listener="127\.0\.0\.1:0"\} 2\n/);
  t.equal(sample(metrics, `mproxy_upstream_up{upstream="${to}"}`), 1);
  t.equal(sample(metrics, `mproxy_upstream_requests_total{upstream="${to}",result="answered"}`), 3);
  t.ok(
    sample(metrics, 'mproxy_upstream_requests_total{upstream="http://127.0.0.1:9",result="unconnected"}')! >=
      1,
  );
  t.equal(sample(metrics, 'mproxy_workers'), IS_NODE ? 1 : 2);
  t.equal(sample(metrics, 'mproxy_worker_restarts_total'), 0);

  const { tables, routes } = JSON.parse((await ask(`${url}/stats`)).body);
  t.strictSame(routes, []);
  t.strictSame(
    tables.map(({ name }: { name: string }) => name),
    ['routes', 'upstreams', 'listeners'],
  );
  t.match(tables[0].rows[0], ['/api', 3, 1, 0, 1, 1]);
  t.match(tables[1].rows[0], [to, 'up', 3, 0, 0]);
  t.equal((await ask(`${url}/healthz`)).body, 'ok\n');

  const lines = () =>
    readFileSync(log, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  await until('six records', () => lines().length === 6);
  t.match(lines()[0], {
    method: 'GET',
    path: '/api/200',
    status: 200,
    sent: 10,
    route: '/api',
    upstream: to,
  });
  await until('they are counted', async () => {
    return sample((await ask(`${url}/metrics`)).body, 'mproxy_access_log_records_total') === 6;
  });
  t.equal(await program.stop(), 0);
});

t.test('promtool finds nothing in the metrics', { skip: noTool }, async (t) => {
  const { program, url } = await startShown(t, 'gateway', [
    ...['--listen-addr', '127.0.0.1:0', '--route', `/=${await origin(t)}`, '--access-log', '/dev/null'],
  ]);
  t.equal((await new Client(t, await program.port()).get('/x')).status, 200);
  for (const accept of ['text/plain', 'application/openmetrics-text']) {
    const { body } = await ask(`${url}/metrics`, { headers: { accept } });
    if (accept === 'text/plain') {
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: body });
      t.equal(status, 0, `${stdout}${stderr}`);
    } else t.match(body, /# TYPE mproxy_http_request_duration_seconds histogram\n[\s\S]*# EOF\n$/);
  }
});

t.test('--stats prints a line for each route, upstream and listener', async (t) => {
  const { program } = await startShown(t, 'gateway', [
    ...['--listen-addr', '127.0.0.1:0', '--route', `/=${await origin(t)}`, '--stats', '200ms'],
  ]);
  t.equal((await new Client(t, await program.port()).get('/x')).status, 200);
  await program.says(/stats: routes: \/: requests 1, 2xx 1, 3xx 0, 4xx 0, 5xx 0, p50 (-|[\d.]+ ms), p99 /);
  await program.says(/stats: upstreams: http:\/\/127\.0\.0\.1:\d+: up, requests 1, failed 0, retries 0\n/);
  await program.says(/stats: listeners: 127\.0\.0\.1:0: connections now 1, connections 1\n/);
});

t.test('an upstream that fails requests of several clients is a problem', async (t) => {
  const running = await gateway(t, { route: '/=http://127.0.0.1:9', trust: '127.0.0.0/8', workers: 1 });
  const client = new Client(t, running.port);
  for (let i = 0; i < 6; i++) {
    client.socket.write(`GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 10.0.0.${i}\r\n\r\n`);
    t.equal((await client.response()).status, 502);
  }
  const { figures } = running.handle.stats();
  t.match(figures!.problems, ['http://127.0.0.1:9: it failed, and is left out for a time']);
  t.equal(figures!.unhealthy, undefined, 'the gateway itself is well');
  t.match(figures!.tables[1]!.rows, [['http://127.0.0.1:9', 'down']]);
});
