import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SinkCounts, SourceCounts } from 'mproxy-flow';
import { SINK_COUNTERS, SOURCE_COUNTERS } from 'mproxy-flow/counters';
import t from 'tap';
import { type Name, startProgram } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { freeTcpPort, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';
import { filled, readDashboard } from './dashboard.js';
import { ask, startShown } from './http.js';

const noTool = spawnSync('promtool', ['--version']).status !== 0 && 'promtool is missing';
const noServer = spawnSync('prometheus', ['--version']).status !== 0 && 'prometheus is missing';
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Panels of the dashboard that show something of every program. */
const ALWAYS = [
  ...['Health', 'Lost in the shown time', 'CPU and memory'],
  ...['Received datagrams', 'Received bits', 'Sent datagrams', 'Sent bits'],
];

interface Result {
  metric: Record<string, string>;
  value: [time: number, value: string];
}

const RULES = join(ROOT, 'packaging/prometheus');

function promtool(args: string[], input?: string): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, cwd: RULES, encoding: 'utf8' });
  return status === 0 ? '' : `${status}: ${stdout}${stderr}`;
}

t.test('promtool finds nothing in the metrics of each program', { skip: noTool }, async (t) => {
  const group = await loopbackGroup();
  const sink = await udpSink(t);
  const to = `127.0.0.1:${sink.port}`;
  const programs: [Name, string[]][] = [
    ['client', ['--path', '-', '--server-addr', `${to},frame=mold`]],
    ['server', ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0,frame=mold']],
    ['forward', ['--tcp-connect-addr', '127.0.0.1:9', '--udp-downstream-addr', to, '--tee']],
    [
      'reverse',
      [
        '--multicast-addr',
        group.address,
        '--tcp-output-addr',
        '127.0.0.1:0',
        '--tcp-listen-addr',
        '127.0.0.1:0',
      ],
    ],
  ];
  for (const [name, args] of programs) {
    const { url } = await startShown(t, name, args);
    await until('it is open', async () => (await ask(`${url}/metrics`)).body.includes('mproxy_sent'));
    const { body } = await ask(`${url}/metrics`);
    t.match(body, /^mproxy_sent_datagrams_total\{.*\} \d+$/m, name);
    t.equal(promtool(['check', 'metrics'], body), '', name);
  }
});

t.test('the alert rules are valid, and fire when they are to', { skip: noTool }, (t) => {
  t.equal(promtool(['check', 'rules', 'mproxy.rules.yml']), '');
  t.equal(promtool(['test', 'rules', 'mproxy.rules.test.yml']), '');
  t.end();
});

t.test('rules, dashboard and docs name metrics that exist', (t) => {
  const counters = [
    ...Object.values(SOURCE_COUNTERS).map(({ metric, gauge }) => [metric, gauge] as const),
    ...Object.values(SINK_COUNTERS).map(({ metric, gauge }) => [metric, gauge] as const),
  ];
  const counts = [{}, { connections: {}, clients: {} }] as (SourceCounts & SinkCounts)[];
  const names = counters.flatMap(([metric, gauge]) =>
    counts.map((count) => {
      const { name } = (typeof metric === 'function' ? metric(count) : metric) ?? { name: 'healthy' };
      return `mproxy_${name}${gauge || name === 'healthy' ? '' : '_total'}`;
    }),
  );
  const known = new Set([...names, 'mproxy_build_info', 'mproxy_certificate_not_after_seconds']);
  for (const file of [
    'packaging/prometheus/mproxy.rules.yml',
    'packaging/grafana/mproxy.json',
    'docs/operating.md',
  ]) {
    const used = readFileSync(join(ROOT, file), 'utf8').match(/\bmproxy_[a-z_]+[a-z]\b(?!_)/g) ?? [];
    t.ok(used.length > 8, file);
    t.strictSame(
      [...new Set(used)].filter((name) => !known.has(name)),
      [],
      file,
    );
  }
  t.end();
});

t.test('Prometheus scrapes it, and rate() is what was sent', { skip: noServer }, async (t) => {
  const { program, url } = await startShown(t, 'server', [
    '--path',
    '/dev/null',
    '--listen-addr',
    '127.0.0.1:0',
  ]);
  const port = await program.port();
  const folder = t.testdir();
  const config = join(folder, 'prometheus.yml');
  const target = new URL(url).host;
  writeFileSync(
    config,
    `global: {scrape_interval: 1s}\nscrape_configs: [{job_name: mproxy, static_configs: [{targets: ['${target}']}]}]\n`,
  );
  const own = `127.0.0.1:${await freeTcpPort()}`;
  const data = [`--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=${own}`];
  startProgram(t, 'prometheus', [`--config.file=${config}`, ...data]);
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  const begun = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    for (const due = (performance.now() - begun) / 5; sent < due; sent++) socket.send('x', port, '127.0.0.1');
  }, 5);
  t.teardown(() => clearInterval(timer));
  const results = async (expression: string) => {
    const { status, body } = await ask(`http://${own}/api/v1/query?query=${encodeURIComponent(expression)}`);
    if (status !== 200) throw new Error(`${expression}: ${body}`);
    const { data } = JSON.parse(body) as { data: { result: Result[] } };
    return data.result;
  };
  const query = async (expression: string) => Number((await results(expression))[0]?.value[1]);
  const scraped = () => query('count_over_time(mproxy_received_datagrams_total[2m])').catch(() => 0);
  await until('a minute of scrapes', async () => (await scraped()) >= 60, 90_000);
  const rate = await query('rate(mproxy_received_datagrams_total[30s])');
  t.comment(`${rate} a second`);
  t.ok(Math.abs(rate - 200) < 2, `${rate} a second, 200 were sent`);
  t.equal(await query('mproxy_healthy'), 1);
  for (const { title, targets } of readDashboard().panels)
    for (const target of targets) {
      const found = await results(filled(target));
      t.ok(found.length > 0 || !ALWAYS.includes(title), `dashboard: ${title}: ${found.length} results`);
      const labels = [...target.legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]!);
      for (const { metric } of found)
        for (const label of labels) t.ok(Object.hasOwn(metric, label), `${title}: ${label} of its legend`);
    }
});

t.test('what OpenMetrics scrapes is the same', { skip: noTool }, async (t) => {
  const { program, url } = await startShown(t, 'server', [
    '--path',
    '/dev/null',
    '--listen-addr',
    '127.0.0.1:0',
  ]);
  await udpSend(await program.port(), ['line\n']);
  const series = (text: string) =>
    text.split('\n').filter((line) => line.startsWith('mproxy_') && !line.includes('process'));
  const counted = async () =>
    (await ask(`${url}/metrics`)).body.includes('bytes_total{source="127.0.0.1:0"} 5');
  await until('it is counted', counted);
  const open = await ask(`${url}/metrics`, { headers: { accept: 'application/openmetrics-text' } });
  t.strictSame(series(open.body), series((await ask(`${url}/metrics`)).body));
});
