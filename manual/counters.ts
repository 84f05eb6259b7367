import type { SinkCounts, SourceCounts } from 'mproxy-flow';
import type { Counter } from 'mproxy-flow/counter';
import { SINK_COUNTERS, SOURCE_COUNTERS } from 'mproxy-flow/counters';
import { type OtherFigures, renderMetrics } from 'mproxy-status/metrics';

/** Tables of docs/operating.md, made of the registry of counters. */

type Counters = Record<string, Counter<never, never>>;

/** Counts with every counter of a registry, all 0. */
function allOf(counters: Counters): Record<string, never> {
  const counts: Record<string, unknown> = {};
  for (const [path, { metric }] of Object.entries(counters)) {
    const [key = '', inner] = path.split('.');
    const label = typeof metric === 'object' ? metric.label : undefined;
    if (inner !== undefined) counts[key] = { ...(counts[key] as object), [inner]: 0 };
    else counts[key] = label ? { ENOSPC: 0 } : metric ? 0 : {};
  }
  return counts as Record<string, never>;
}

const FIGURES: OtherFigures = {
  ...{ cpuSeconds: 0, memoryBytes: 0, startSeconds: 0, openFds: 0, maxFds: 0 },
  ...{ program: '', healthy: true, certificates: [{ file: '', notAfter: 0 }] },
};

/** All metrics as they are served, of endpoints that have every counter. */
export function allMetrics(): string {
  const connected = { name: 'in', ...(allOf(SOURCE_COUNTERS) as unknown as SourceCounts) };
  const { connections: _, ...udp } = connected;
  const sink = { name: 'out', ...(allOf(SINK_COUNTERS) as unknown as SinkCounts) };
  const routes = [connected, udp].map((source) => ({ source, sinks: [sink] }));
  return renderMetrics({ routes }, FIGURES, 'prometheus');
}

/** A row for each metric: its name, labels and help. */
export function metricsTable(): string {
  const text = allMetrics();
  const rows = [...text.matchAll(/^# HELP (\w+) (.*)$/gm)].map(([, name = '', help = '']) => {
    const samples = [...text.matchAll(new RegExp(`^${name}\\{(.*)\\} `, 'gm'))];
    const labels = samples.flatMap(([, all = '']) => [...all.matchAll(/(\w+)="(.*?)"/g)]);
    const names = [...new Set(labels.map(([, label]) => `\`${label}\``))];
    const reasons = new Set(
      labels.flatMap(([, label, value]) => (label === 'reason' ? [`\`${value}\``] : [])),
    );
    const of = reasons.size > 0 ? `: ${[...reasons].join(', ')}` : '';
    return [`\`${name}\``, `${names.join(', ')}${of}`, help];
  });
  return table(['metric', 'labels', 'what'], rows);
}

/** A row for each counter of `/stats`: its name, whether sources or sinks have it, and its help. */
export function countersTable(): string {
  const rows = (of: string, counters: Counters) =>
    Object.entries(counters).map(([path, { help, metric, gauge }]) => {
      const isTime = typeof metric === 'object' && metric.divisor === 1000;
      const unit = isTime ? ' In milliseconds.' : '';
      return [`\`${path}\``, of, `${help}${unit}${gauge ? ' It can decrease.' : ''}`];
    });
  return table(
    ['counter', 'of a', 'what it counts'],
    [...rows('source', SOURCE_COUNTERS), ...rows('sink', SINK_COUNTERS)],
  );
}

function table(heads: string[], rows: string[][]): string {
  const lines = [heads, heads.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
