import { rowOf } from 'mproxy-command/events';
import { linesOfFigures } from 'mproxy-command/figures-table';
import type { Figures } from 'mproxy-flow';
import { Health } from 'mproxy-status/health';
import { renderMetrics } from 'mproxy-status/metrics';
import t from 'tap';
import { sample } from './http.js';

const OTHERS = {
  ...{ cpuSeconds: 1, memoryBytes: 1, startSeconds: 1, openFds: undefined, maxFds: undefined },
  ...{ program: 'mproxy-test', healthy: true, certificates: [] },
};
const FIGURES: Figures = {
  metrics: [
    {
      ...{ name: 'http_requests', help: 'Requests.', type: 'counter' },
      samples: [{ labels: { route: 'a"b' }, value: 3 }],
    },
    {
      ...{ name: 'http_request_duration_seconds', help: 'Durations.', type: 'histogram' },
      samples: [
        { labels: { route: '/' }, value: { bounds: [0.1, 1], counts: [2, 3, 1], sum: 4.5 } },
        { labels: { route: '/x' }, value: { bounds: [0.1, 1], counts: [0, 0, 0], sum: 0 } },
      ],
    },
  ],
  tables: [
    {
      name: 'routes',
      columns: [
        { name: 'route', unit: 'text' },
        { name: 'requests', unit: 'counter' },
        { name: 'p50', unit: 'time' },
        { name: 'state', unit: 'state' },
      ],
      rows: [
        ['/', 1200, 1.2345, 'up'],
        ['/long', 7, undefined, 'down'],
      ],
    },
  ],
  problems: ['http://127.0.0.1:9: down: connection refused'],
};
const snapshot = (figures: Figures) => ({
  ...{ state: 'running' as const, losses: [], certificates: [] },
  stats: { routes: [], figures },
});

t.test('a histogram has buckets up to each bound, all of them in the last', (t) => {
  const text = renderMetrics({ routes: [], figures: FIGURES }, OTHERS, 'prometheus');
  t.equal(sample(text, 'mproxy_http_requests_total{route="a\\"b"}'), 3);
  const name = 'mproxy_http_request_duration_seconds';
  t.match(text, `# TYPE ${name} histogram\n`);
  t.equal(sample(text, `${name}_bucket{route="/",le="0.1"}`), 2);
  t.equal(sample(text, `${name}_bucket{route="/",le="1"}`), 5);
  t.equal(sample(text, `${name}_bucket{route="/",le="+Inf"}`), 6);
  t.equal(sample(text, `${name}_sum{route="/"}`), 4.5);
  t.equal(sample(text, `${name}_count{route="/"}`), 6);
  t.equal(sample(text, `${name}_count{route="/x"}`), 0);
  t.end();
});

t.test('tables have a rate beside each counter, and a row is a message', (t) => {
  const { tables } = FIGURES;
  const before = tables.map((table) => ({ ...table, rows: [['/', 200, 1, 'up']] }));
  t.strictSame(linesOfFigures(tables, before, 500), [
    'routes  requests  requests/s      p50  state',
    '/          1,200       2,000  1.23 ms  up',
    '/long          7          14        -  down',
  ]);
  t.match(rowOf(tables[0]!, tables[0]!.rows[0]!, 'text'), {
    event: 'stats',
    fields: { table: 'routes', route: '/', requests: 1200, state: 'up' },
  });
  t.end();
});

t.test('problems of figures are shown; only what makes the program unable is unhealthy', (t) => {
  const health = new Health(0);
  health.state = 'running';
  health.look(snapshot(FIGURES));
  t.match(health.problems, [{ text: 'http://127.0.0.1:9: down: connection refused' }]);
  t.equal(health.unhealthy, undefined);
  health.look(snapshot({ ...FIGURES, problems: [], unhealthy: 'no worker runs' }));
  t.match(health.problems, [{ text: 'no worker runs' }]);
  t.equal(health.unhealthy, 'no worker runs');
  health.look(snapshot({ ...FIGURES, problems: [] }));
  t.strictSame(health.problems, []);
  t.equal(health.unhealthy, undefined);
  t.end();
});
