import { counted } from './events.js';

/**
 * The paths of all numbers in counts of a source or sink: `dropped`, `mold.lost`. A record with any keys is one counter, with
 * a value for each of its labels.
 */
export type Paths<C> = {
  [K in keyof C & string]-?: NonNullable<C[K]> extends number
    ? K
    : string extends keyof NonNullable<C[K]>
      ? K
      : `${K}.${keyof NonNullable<C[K]> & string}`;
}[keyof C & string];

/** How a counter is exported: `mproxy_NAME{source,sink}`, a counter with `_total`. */
export interface Metric {
  /** Without `mproxy_` and `_total`. Several counters can be one metric, by their reasons. */
  readonly name: string;
  readonly reason?: string;
  /** Default: that of the counter. */
  readonly help?: string;
  /** Of a sink: this label alone names it, without the source. */
  readonly names?: 'sink' | 'listener';
  /** The label that tells the values of a counter with labels apart. */
  readonly label?: string;
  /** Divides the counter to the unit in the name; default 1. */
  readonly divisor?: number;
}

/** A counter: what it counts, and its words. It never decreases, unless it is a gauge. */
export interface Counter<C, E> {
  /** One sentence. */
  readonly help: string;
  /** Its value is the present one. */
  readonly gauge?: true;
  /** Undefined: not exported, as another counter includes it, or the endpoint cannot have it. */
  readonly metric: Metric | ((counts: C) => Metric | undefined) | undefined;
  /** As `--stats` shows it; undefined: not shown. */
  readonly stats?: (count: number, counts: C, label: string) => string | undefined;
  /** Given if it counts losses. */
  readonly loss?: LossWords<C, E>;
}

/** How a report of losses reads: `NAME: LOST: REASON; REMEDY`. */
export interface LossWords<C, E> {
  /** Its place in the report. */
  readonly order: number;
  /** The counter is no number of lost datagrams, lines or messages, but a time, or clients. */
  readonly isOther?: true;
  /** An event of its own tells each loss: it begins no report but the last. */
  readonly isTold?: true;
  /** Whether it is a loss with these counts; default yes. */
  readonly applies?: (counts: C) => boolean;
  readonly lost: (count: number, endpoint: E, counts: C, label: string) => string;
  readonly reason?: string | ((endpoint: E) => string);
  readonly remedy?: (endpoint: E, label: string) => string | undefined;
}

/** Counters by their paths, in the order of `--stats`. */
export type Counters<C, E = unknown> = { readonly [P in Paths<C>]: Counter<C, E> };

/** The values of a counter with their labels; one without a label, none where the endpoint does not have it. */
export function valuesOf(counts: object, path: string): [value: number, label: string][] {
  const found = valueAt(counts, path.split('.'));
  if (typeof found === 'number') return [[found, '']];
  return Object.entries(found ?? {}).map(([label, value]) => [value, label]);
}

/** The value of a counter by the parts of its path, or its values by label; undefined where the endpoint does not have it. */
export function valueAt(counts: object, [key, inner]: readonly string[]) {
  const found = (counts as Record<string, Record<string, number> | number | undefined>)[key!];
  return inner === undefined ? found : (found as Record<string, number> | undefined)?.[inner];
}

/** A metric that its sink alone names. */
export function ofSink(name: string): Metric {
  return { name, names: 'sink' };
}

/** @param words `line(s)` */
export function always(words: string): (count: number) => string {
  return (count) => counted(count, words);
}

export function ifAny(words: string): (count: number) => string | undefined {
  return (count) => (count > 0 ? counted(count, words) : undefined);
}
