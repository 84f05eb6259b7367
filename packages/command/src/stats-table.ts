import { showBytes, showNumber } from 'mproxy-base';
import type { FigureTable, Handle, Lost, RouteStats } from 'mproxy-flow';
import { SINK_COUNTERS, SOURCE_COUNTERS } from 'mproxy-flow/counters';
import { linesOfFigures } from './figures-table.js';
import { shownCounters } from './stats.js';

const COLUMNS = ['', 'datagrams/s', 'Mbps', 'datagrams', 'bytes', 'lost', 'other counters'];
const OTHERS = COLUMNS.length - 1;
/** The columns that a narrow terminal does not show, the least important one first. */
const LEAST = [OTHERS, 4, 2, 3];
/** A part of the last column is shown if it has this much room. */
const LEAST_ROOM = 16;

/** Draws a table in every period, over the last one, and once more at the end. */
export function drawStats(
  handle: Handle,
  period: number,
  draw: (lines: (width: number) => string[]) => void,
): () => void {
  // The first rates are those since the start of the process, at which performance.now() is 0.
  let last: { at: number; rows: Row[]; tables: FigureTable[] } = { at: 0, rows: [], tables: [] };
  const update = () => {
    const losses = handle.losses();
    const { routes, figures } = handle.stats();
    const rows = routes.flatMap((route) => routeRows(route, losses));
    const now = { at: performance.now(), rows, tables: figures?.tables ?? [] };
    const cells = cellsOf(now.rows, last.rows, now.at - last.at);
    const figureLines = linesOfFigures(now.tables, last.tables, now.at - last.at);
    draw((width) => [...(rows.length > 0 ? fitted(cells, width) : []), ...figureLines]);
    last = now;
  };
  update();
  const timer = setInterval(update, period);
  return () => {
    clearInterval(timer);
    update();
  };
}

interface Row {
  name: string;
  datagrams: number;
  bytes: number;
  lost: number;
  /** All other counters, as `--stats` shows them. */
  others: string;
}

const { datagrams: _received, ...OTHER_SOURCE_COUNTERS } = SOURCE_COUNTERS;
const { datagrams: _sent, ...OTHER_SINK_COUNTERS } = SINK_COUNTERS;

function routeRows({ source, sinks }: RouteStats, losses: readonly Lost[]): Row[] {
  const lostOf = (name: string) =>
    losses.reduce((sum, { endpoint, amount }) => (endpoint === name ? sum + amount : sum), 0);
  return [
    { ...source, lost: lostOf(source.name), others: shownCounters(source, OTHER_SOURCE_COUNTERS) },
    ...sinks.map((sink) => ({
      ...{ ...sink, name: `-> ${sink.name}`, lost: lostOf(sink.name) },
      others: shownCounters(sink, OTHER_SINK_COUNTERS),
    })),
  ];
}

/** @param elapsed since the last rows, in milliseconds */
function cellsOf(rows: Row[], last: Row[], elapsed: number): string[][] {
  const rate = (now: number, before = 0) => (elapsed > 0 ? ((now - before) / elapsed) * 1000 : 0);
  return rows.map(({ name, datagrams, bytes, lost, others }, i) => [
    name,
    showNumber(Math.round(rate(datagrams, last[i]?.datagrams))),
    ((rate(bytes, last[i]?.bytes) * 8) / 1e6).toFixed(1),
    showNumber(datagrams),
    showBytes(bytes),
    showNumber(lost),
    others,
  ]);
}

/**
 * The lines of a table that is not wider than the terminal, if possible. Names lose their keys first; then columns are hidden,
 * which a last line says.
 */
function fitted(cells: readonly string[][], width: number): string[] {
  const fits = (table: readonly string[][], shown: readonly number[]) => widthOf(table, shown) <= width;
  let table = [COLUMNS, ...cells];
  let shown = COLUMNS.map((_, column) => column);
  if (!fits(table, shown))
    table = [COLUMNS, ...cells.map(([name = '', ...others]) => [withoutKeys(name), ...others])];
  const hidden: string[] = [];
  for (const column of LEAST) {
    if (fits(table, shown)) break;
    const others = shown.filter((one) => one !== column);
    const left = width - widthOf(table, others) - 2;
    if (column === OTHERS && left >= LEAST_ROOM)
      table = table.map((row) => [...row.slice(0, OTHERS), cut(row[OTHERS]!, left)]);
    else {
      shown = others;
      hidden.unshift(COLUMNS[column]!);
    }
  }
  const lines = linesOf(table, shown);
  return hidden.length === 0 ? lines : [...lines, `hidden, as the terminal is narrow: ${hidden.join(', ')}`];
}

/** An address without `,interface=lo` and other keys. */
function withoutKeys(name: string): string {
  return name.replace(/,[\w-]+(=[^, ]*)?(?=,|$| and )/g, '');
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 3)}...`;
}

function widthOf(table: readonly string[][], shown: readonly number[]): number {
  return Math.max(...linesOf(table, shown).map(({ length }) => length));
}

function linesOf(table: readonly string[][], shown: readonly number[]): string[] {
  const widths = COLUMNS.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const isText = (column: number) => column === 0 || column === OTHERS;
  const padded = (cell: string, column: number) =>
    isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return table.map((row) =>
    shown
      .map((column) => padded(row[column]!, column))
      .join('  ')
      .trimEnd(),
  );
}
