import type { Contestant } from './contestant.js';
import type { Load, Role } from './loads.js';
import type { Sample } from './sample.js';

/** All turns of one contestant at one load. */
export interface Result {
  load: Load;
  contestant: Contestant;
  samples: Sample[];
  failure?: string;
}

export type Metric = keyof Sample;

export class Results {
  readonly all: Result[] = [];

  add(load: Load, contestant: Contestant): Result {
    const result: Result = { load, contestant, samples: [] };
    this.all.push(result);
    return result;
  }

  loads(role: Role): Load[] {
    return [...new Set(this.all.filter(({ load }) => load.role === role).map(({ load }) => load))];
  }

  of(load: Load): Result[] {
    return this.all.filter((result) => result.load === load);
  }
}

/** Median of one metric over all turns; NaN if there are none. */
export function median(result: Result | undefined, metric: Metric): number {
  const values = (result?.samples ?? []).map((sample) => sample[metric]).sort((a, b) => a - b);
  const middle = values.length / 2;
  if (values.length === 0) return Number.NaN;
  return values.length % 2 ? values[Math.floor(middle)]! : (values[middle - 1]! + values[middle]!) / 2;
}

/** The main metric of a role, and whether less is better. */
export function headline(role: Role): { metric: Metric; title: string; less: boolean } {
  if (role === 'latency') return { metric: 'p50', title: 'median latency, us', less: true };
  if (role === 'repair') return { metric: 'seconds', title: 'seconds until all have it', less: true };
  if (role === 'many') return { metric: 'seconds', title: 'seconds until all deliver', less: true };
  if (role === 'gateway') return { metric: 'cost', title: 'CPU us an answer', less: true };
  if (role === 'start') return { metric: 'start', title: 'ms to the first answer', less: true };
  if (role === 'client') return { metric: 'mbps', title: 'delivered, Mbps', less: false };
  return { metric: 'rate', title: 'delivered, datagrams a second', less: false };
}

/** The metrics for comparing two programs in a role, the headline first, and whether less is better. */
export function compared(role: Role): { metric: Metric; title: string; less: boolean }[] {
  const first = headline(role);
  if (role === 'repair') return [first, { metric: 'wire', title: 'times the file on the wire', less: true }];
  if (role === 'many') return [first, { metric: 'rss', title: 'peak RSS, bytes', less: true }];
  if (role === 'gateway') return [first, { metric: 'mean', title: 'mean latency, us', less: true }];
  if (role === 'start')
    return [
      first,
      { metric: 'rss', title: 'RSS at rest, bytes', less: true },
      { metric: 'idle', title: 'bytes an idle connection', less: true },
    ];
  if (role === 'latency') return [first, { metric: 'p99', title: 'p99, us', less: true }];
  return [
    first,
    { metric: 'delivered', title: 'part delivered', less: false },
    { metric: 'cpu', title: 'CPU seconds a GB', less: true },
  ];
}

/** A number with three significant digits. */
export function short(n: number): string {
  if (!Number.isFinite(n)) return '-';
  if (Math.abs(n) >= 100) return Math.round(n).toLocaleString('en');
  return n.toFixed(Math.abs(n) >= 10 ? 1 : 2);
}
