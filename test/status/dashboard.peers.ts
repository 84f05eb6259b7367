import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderMetrics } from 'mproxy-status/metrics';
import { processFigures } from 'mproxy-status/process-figures';
import t from 'tap';
import { filled, readDashboard, VALUES } from './dashboard.js';

const noTool = spawnSync('promtool', ['--version']).status !== 0 && 'promtool is missing';
/** Of those that Grafana knows, with what these panels show: a number, seconds, packets, bits, operations, messages, clients, CPU. */
const UNITS = ['none', 's', 'pps', 'bps', 'ops', 'mps', 'short', 'percentunit'];
/** Panels that every Grafana has. */
const TYPES = ['stat', 'timeseries'];
/** Columns of the grid. */
const WIDTH = 24;

const { uid, title, schemaVersion, templating, panels } = readDashboard();
const targets = panels.flatMap((panel) => panel.targets);

t.test('the dashboard has what Grafana imports, and a variable chooses its data source', (t) => {
  t.match({ uid, title }, { uid: /^[\w-]{1,40}$/, title: /./ });
  t.ok(schemaVersion >= 36, 'with references to data sources by type and uid');
  const variables = new Map(templating.list.map((one) => [one.name, one]));
  t.match(variables.get('datasource'), { type: 'datasource', query: 'prometheus' });
  for (const name of Object.keys(VALUES).filter((name) => !name.startsWith('$__')))
    t.equal(variables.get(name.slice(1))?.type, 'query', name);
  for (const { datasource } of [...panels, ...targets])
    t.match(datasource, { type: 'prometheus', uid: /^\$\{datasource\}$/ });
  t.end();
});

t.test('panels have numbers, titles, units and places of their own', (t) => {
  const numbers = panels.map(({ id }) => id);
  t.strictSame([...new Set(numbers)], numbers, 'no number twice');
  const taken = new Set<string>();
  for (const { title, type, gridPos, fieldConfig, targets } of panels) {
    t.ok(title !== '' && TYPES.includes(type) && UNITS.includes(fieldConfig.defaults.unit), title);
    const names = targets.map(({ refId }) => refId);
    t.ok(names.length > 0 && new Set(names).size === names.length, `${title}: queries have names`);
    const { x, y, w, h } = gridPos;
    t.ok(x >= 0 && w > 0 && h > 0 && x + w <= WIDTH, `${title}: it is on the grid`);
    for (let row = y; row < y + h; row++)
      for (let column = x; column < x + w; column++) {
        const place = `${row} ${column}`;
        if (taken.has(place)) t.fail(`${title}: it covers another at ${place}`);
        taken.add(place);
      }
  }
  t.end();
});

t.test('Prometheus parses every query', { skip: noTool }, (t) => {
  const rules = targets.map((target, i) => ({ record: `query:${i}`, expr: filled(target) }));
  for (const { expr } of rules) t.notMatch(expr, /\$/, 'every variable is known');
  const file = join(t.testdir(), 'rules.yml');
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' });
  t.equal(status, 0, `${stdout}${stderr}`);
  t.match(stdout, `${rules.length} rules found`);
  t.end();
});

t.test('metrics of the process that queries name exist', (t) => {
  const others = { ...processFigures(), program: 'test', healthy: true, certificates: [] };
  const known = renderMetrics({ routes: [] }, others, 'prometheus');
  const used = targets.flatMap(({ expr }) => expr.match(/\bprocess_\w+/g) ?? []);
  t.ok(used.length > 1);
  for (const name of used) t.match(known, new RegExp(`^${name} `, 'm'), name);
  t.end();
});
