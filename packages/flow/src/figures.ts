import { showBytes, showNumber } from 'mproxy-base';

/** What a program counts that is no flow of datagrams: metrics for machines, and tables for people. Plain data. */
export interface Figures {
  metrics: MetricFamily[];
  tables: FigureTable[];
  /** What is wrong, in one line each. */
  problems: string[];
  /** Why the program as a whole cannot do its work: `/healthz` answers 503. */
  unhealthy?: string | undefined;
}

/** Samples of one metric. Labels have names that the user gave, and fixed words: nothing that peers choose. */
export interface MetricFamily {
  /** Without `mproxy_`, and without the `_total` of a counter. */
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  samples: Sample[];
}

export interface Sample {
  labels: Record<string, string>;
  value: number | Histogram;
}

export interface Histogram {
  /** The upper bounds of the buckets, ascending, in the unit of the metric. */
  bounds: readonly number[];
  /** Values in each bucket alone; the last one is that of the values above all bounds. */
  counts: readonly number[];
  sum: number;
}

export interface FigureTable {
  /** `routes` */
  name: string;
  /** The first one names the row. */
  columns: Column[];
  /** Cells as the columns say; undefined: not known. */
  rows: Cell[][];
}

export interface Column {
  /** `requests` */
  name: string;
  /**
   * `counter`: a number that does not decrease, shown with its rate. `count`: a number. `bytes`: a counter of bytes. `time`: milliseconds.
   * `state`: a text; what is not `up` is shown as a problem.
   */
  unit: 'text' | 'state' | 'counter' | 'count' | 'bytes' | 'time';
}

export type Cell = string | number | undefined;

/** A cell for a person; `-`: not known. */
export function showCell(cell: Cell, { unit }: Column): string {
  if (cell === undefined) return '-';
  if (typeof cell === 'string') return cell;
  if (unit === 'time') return `${Number(cell.toPrecision(3))} ms`;
  return unit === 'bytes' ? showBytes(cell) : showNumber(cell);
}
