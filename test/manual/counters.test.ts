import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SINK_COUNTERS, SOURCE_COUNTERS } from 'mproxy-flow/counters';
import { sinkCounts, sourceCounts } from 'mproxy-flow/counts';
import t from 'tap';
import { allMetrics, countersTable, metricsTable } from '../../manual/counters.js';

const DOCS = readFileSync(fileURLToPath(new URL('../../../docs/operating.md', import.meta.url)), 'utf8');

function between(name: string): string {
  return new RegExp(`<!-- ${name} -->\n(.*?)\n<!-- end -->`, 's').exec(DOCS)?.[1] ?? '';
}

t.test('docs list all metrics, and all counters of /stats; npm run help writes them', (t) => {
  t.equal(between('metrics'), metricsTable());
  t.equal(between('counters'), countersTable());
  t.end();
});

t.test('what the tables are made of is complete', (t) => {
  const metrics = allMetrics();
  const counters = countersTable();
  for (const registry of [SOURCE_COUNTERS, SINK_COUNTERS])
    for (const [path, { metric }] of Object.entries(registry)) {
      t.match(counters, `\`${path}\``);
      for (const counts of [{}, { connections: {}, clients: {} }]) {
        const found = typeof metric === 'function' ? metric(counts as never) : metric;
        if (found) t.match(metrics, new RegExp(`^mproxy_${found.name}(_total)?\\{`, 'm'), found.name);
      }
    }
  for (const key of Object.keys({ ...sourceCounts(), ...sinkCounts() })) t.match(counters, `\`${key}\``);
  t.end();
});
