import { VERSION } from 'mproxy-base';
import type { Certificate, Figures, Histogram, SinkCounts, SourceCounts, Stats } from 'mproxy-flow';
import { type Counter, type Metric, valueAt } from 'mproxy-flow/counter';
import { SINK_COUNTERS, SOURCE_COUNTERS } from 'mproxy-flow/counters';
import type { ProcessFigures } from './process-figures.js';

/** Prometheus' own text format, or OpenMetrics 1.0.0 for clients that accept it. */
export type MetricsFormat = 'prometheus' | 'openmetrics';

export const CONTENT_TYPES: Record<MetricsFormat, string> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

type Labels = Record<string, string>;

/** Metrics that are no counters of a source or sink. */
export interface OtherFigures extends ProcessFigures {
  program: string;
  /** Whether `/healthz` is 200. */
  healthy: boolean;
  certificates: Certificate[];
}

/**
 * Renders all counters of a program. Labels have the names that the user gave to endpoints, error codes and fixed words:
 * nothing that peers choose. Endpoints of one name are added up; a sink of several routes is counted once, without a source.
 */
export function renderMetrics(
  { routes, figures }: Stats,
  others: OtherFigures,
  format: MetricsFormat,
): string {
  const families = new Families(format);
  const shared = new Set<object>();
  const names = new Set<string>();
  const isNew = (name: string) => names.size < names.add(name).size;
  for (const { source, sinks } of routes) {
    const from = label('source', source.name);
    families.addAll(source, SOURCES, () => from, isNew(from));
    for (const sink of sinks) {
      if (sink.shared && shared.has(sink)) continue;
      shared.add(sink);
      const to = label('sink', sink.name);
      const both = sink.shared ? to : `${from},${to}`;
      families.addAll(sink, SINKS, ({ names }) => (names ? label(names, sink.name) : both), isNew(to));
    }
  }
  if (figures) addFigures(families, figures);
  addOthers(families, others);
  return families.render();
}

function addFigures(families: Families, { metrics }: Figures): void {
  for (const { name, help, type, samples } of metrics)
    for (const { labels, value } of samples) families.add(name, help, type, labels, value);
}

function addOthers(families: Families, others: OtherFigures): void {
  const { program, healthy, certificates, ...figures } = others;
  const { cpuSeconds, memoryBytes, startSeconds, openFds, maxFds } = figures;
  const build = { program, version: VERSION, node: process.versions.node };
  families.add('build_info', 'Versions of the program.', 'gauge', build, 1);
  families.add('healthy', 'Whether /healthz answers 200.', 'gauge', {}, healthy ? 1 : 0);
  const ends = 'When a certificate of this program ends, in seconds since 1970.';
  for (const { file, notAfter } of certificates)
    families.add('certificate_not_after_seconds', ends, 'gauge', { file }, notAfter / 1000);
  families.add('process_cpu_seconds', 'User and system CPU time.', 'counter', {}, cpuSeconds);
  families.add('process_resident_memory_bytes', 'Resident memory.', 'gauge', {}, memoryBytes);
  families.add('process_start_time_seconds', 'Start, in seconds since 1970.', 'gauge', {}, startSeconds);
  families.add('process_open_fds', 'Open file descriptors.', 'gauge', {}, openFds);
  families.add('process_max_fds', 'Limit on open file descriptors.', 'gauge', {}, maxFds);
}

type Exported<C> = { keys: readonly string[]; counter: Counter<C, never> }[];
const SOURCES: Exported<SourceCounts> = exportedOf(SOURCE_COUNTERS);
const SINKS: Exported<SinkCounts> = exportedOf(SINK_COUNTERS);

function exportedOf<C>(counters: Record<string, Counter<C, never>>): Exported<C> {
  return Object.entries(counters).map(([path, counter]) => ({ keys: path.split('.'), counter }));
}

interface Family {
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  divisor: number;
  /** The labels of each sample as written, and its value. */
  labels: string[];
  values: number[];
  /** Samples of a histogram. */
  histograms: Histogram[];
  /** Samples by their labels; made when the first endpoint has the name of another. */
  index?: Map<string, number>;
}

class Families {
  readonly #families = new Map<string, Family>();

  constructor(private readonly format: MetricsFormat) {}

  /** @param labelsOf the labels of the endpoint for a metric, as written */
  addAll<C extends object>(
    counts: C,
    exported: Exported<C>,
    labelsOf: (metric: Metric) => string,
    isNew: boolean,
  ): void {
    for (const { keys, counter } of exported) {
      const { help, gauge, metric } = counter;
      const value = valueAt(counts, keys);
      if (value === undefined) continue;
      const found = typeof metric === 'function' ? metric(counts) : metric;
      if (!found) continue;
      const { name, reason, label: key, divisor } = found;
      const labels = reason ? `${labelsOf(found)},${label('reason', reason)}` : labelsOf(found);
      const family = this.#family(name, found.help ?? help, gauge ? 'gauge' : 'counter', divisor);
      if (typeof value === 'number') addSample(family, labels, value, isNew);
      else if (key)
        for (const [of, one] of Object.entries(value))
          addSample(family, `${labels},${label(key, of)}`, one, isNew);
    }
  }

  /** @param value undefined: the platform does not tell it */
  add(
    name: string,
    help: string,
    type: Family['type'],
    labels: Labels,
    value: number | Histogram | undefined,
  ): void {
    if (value === undefined) return;
    const written = Object.entries(labels).map((pair) => label(...pair));
    const family = this.#family(name, help, type);
    if (typeof value === 'number') addSample(family, written.join(','), value, true);
    else {
      family.labels.push(written.join(','));
      family.histograms.push(value);
    }
  }

  #family(name: string, help: string, type: Family['type'], divisor = 1): Family {
    const known = this.#families.get(name);
    if (known) return known;
    const family: Family = { type, help, divisor, labels: [], values: [], histograms: [] };
    this.#families.set(name, family);
    return family;
  }

  render(): string {
    const open = this.format === 'openmetrics';
    const lines: string[] = [];
    for (const [name, { type, help, divisor, labels, values, histograms }] of this.#families) {
      if (labels.length === 0) continue;
      const full = name.startsWith('process_') ? name : `mproxy_${name}`;
      const sample = type === 'counter' ? `${full}_total` : full;
      const family = open ? full : sample;
      lines.push(`# HELP ${family} ${escapeHelp(help)}`, `# TYPE ${family} ${type}`);
      for (const [i, sum] of values.entries()) {
        // A quotient is the nearest number: 28772 / 1000 is 28.772, which a product with 0.001 is not.
        const value = sum / divisor;
        lines.push(labels[i] === '' ? `${sample} ${value}` : `${sample}{${labels[i]}} ${value}`);
      }
      for (const [i, histogram] of histograms.entries())
        lines.push(...histogramLines(full, labels[i]!, histogram));
    }
    if (open) lines.push('# EOF');
    return `${lines.join('\n')}\n`;
  }
}

/** The buckets of a histogram count all values up to their bounds. */
function histogramLines(name: string, labels: string, { bounds, counts, sum }: Histogram): string[] {
  const before = labels === '' ? '' : `${labels},`;
  const all = labels === '' ? '' : `{${labels}}`;
  let count = 0;
  const buckets = counts.map((more, i) => {
    count += more;
    return `${name}_bucket{${before}${label('le', i < bounds.length ? String(bounds[i]) : '+Inf')}} ${count}`;
  });
  return [...buckets, `${name}_sum${all} ${sum}`, `${name}_count${all} ${count}`];
}

/** @param isNew whether no endpoint of the same name was added before: then there is nothing to look for */
function addSample(family: Family, labels: string, value: number, isNew: boolean): void {
  const { labels: all, values } = family;
  if (!isNew || family.index) {
    family.index ??= new Map(all.map((one, i) => [one, i]));
    const at = family.index.get(labels);
    if (at !== undefined) {
      values[at]! += value;
      return;
    }
    family.index.set(labels, all.length);
  }
  all.push(labels);
  values.push(value);
}

function label(name: string, value: string): string {
  return `${name}="${escapeLabel(value)}"`;
}

/** Backslash, quote and newline; OpenMetrics escapes the same ones. */
function escapeLabel(value: string): string {
  return !/[\\"\n]/.test(value)
    ? value
    : value.replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`));
}

function escapeHelp(help: string): string {
  return help.replace(/[\\\n]/g, (found) => (found === '\n' ? '\\n' : '\\\\'));
}
