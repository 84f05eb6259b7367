import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SINK_COUNTERS, SOURCE_COUNTERS } from 'mproxy-flow/counters';
import t from 'tap';
import { readDashboard } from './dashboard.js';

const RULES = fileURLToPath(new URL('../../../packaging/prometheus/mproxy.rules.yml', import.meta.url));

/** Losses that are no number of lost things: a time, and clients that were sent away. */
const UNCOUNTED = ['nats_interrupted_seconds', 'timed_out_clients'];

/** The metrics of all counters that count losses. */
function lossMetrics(): string[] {
  const counters = [...Object.values(SOURCE_COUNTERS), ...Object.values(SINK_COUNTERS)];
  const names = counters.flatMap(({ loss, metric }) => {
    if (!loss) return [];
    const found = typeof metric === 'function' ? metric({ clients: { now: 0, ever: 0 } } as never) : metric;
    return found ? [found.name] : [];
  });
  return [...new Set(names)].filter((name) => !UNCOUNTED.includes(name));
}

t.test('the dashboard counts all losses, and has a panel for each', (t) => {
  const { panels } = readDashboard();
  const expressions = (of: (title: string) => boolean) =>
    panels
      .filter(({ title }) => of(title))
      .flatMap(({ targets }) => targets.map(({ expr }) => expr))
      .join('\n');
  const isSum = (title: string) => title === 'Lost in the shown time';
  for (const name of lossMetrics()) t.match(expressions(isSum), `(mproxy_${name}_total{`, name);
  const shown = expressions((title) => !isSum(title));
  for (const name of [...lossMetrics(), ...UNCOUNTED]) t.match(shown, `(mproxy_${name}_total{`, name);
  t.end();
});

/** What the end of a connection cuts short: any sender can cause it. */
const BY_SENDERS = ['broken_lines', 'discarded_messages'];

t.test('every loss that strangers cannot cause raises an alert', (t) => {
  const rules = readFileSync(RULES, 'utf8');
  for (const name of lossMetrics().filter((name) => !BY_SENDERS.includes(name)))
    t.match(rules, `mproxy_${name}_total`, name);
  t.end();
});
