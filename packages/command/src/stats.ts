import type { Cell, FigureTable, Handle, RouteStats } from 'mproxy-flow';
import { type Counter, valuesOf } from 'mproxy-flow/counter';
import { SINK_COUNTERS, SOURCE_COUNTERS } from 'mproxy-flow/counters';
import { showCell } from 'mproxy-flow/figures';
import { type Message, rowOf, statsOf } from './events.js';

/** Prints one line per route, and per row of a table, in every period, and once more at the end. */
export function printStats(handle: Handle, period: number, say: (message: Message) => void): () => void {
  const print = () => {
    const { routes, figures } = handle.stats();
    for (const route of routes) say(statsOf(route, `stats: ${routeLine(route)}`));
    for (const table of figures?.tables ?? [])
      for (const row of table.rows) say(rowOf(table, row, `stats: ${rowLine(table, row)}`));
  };
  const timer = setInterval(print, period);
  return () => {
    clearInterval(timer);
    print();
  };
}

function routeLine({ source, sinks }: RouteStats): string {
  const to = sinks.map((sink) => ` -> ${sink.name}: ${shownCounters(sink, SINK_COUNTERS)}`);
  return `${source.name}: ${shownCounters(source, SOURCE_COUNTERS)}${to.join('')}`;
}

/** `routes: /api: requests 12, 4xx 3`: text of a column is shown as it is, numbers with its name. */
function rowLine({ name: table, columns }: FigureTable, row: readonly Cell[]): string {
  const cells = columns.slice(1).map((column, i) => {
    const cell = row[i + 1];
    return typeof cell === 'string' ? cell : `${column.name} ${showCell(cell, column)}`;
  });
  return `${table}: ${row[0]}: ${cells.join(', ')}`;
}

/** The counters that `--stats` shows, in the order of their registry. */
export function shownCounters<C extends object>(
  counts: C,
  counters: Record<string, Counter<C, never>>,
): string {
  const texts = Object.entries(counters).flatMap(([path, { stats }]) =>
    valuesOf(counts, path).map(([count, label]) => stats?.(count, counts, label)),
  );
  return texts.filter((text) => text !== undefined).join(', ');
}
