import { showBytes, showNumber } from 'mproxy-base';
import type { Handle, RouteStats } from 'mproxy-flow';
import { type Counter, valuesOf } from 'mproxy-flow/counter';
import { SINK_COUNTERS, SOURCE_COUNTERS } from 'mproxy-flow/counters';
import { type Message, statsOf } from './events.js';

/** Prints one line per route in every period, and once more at the end. */
export function printStats(handle: Handle, period: number, say: (message: Message) => void): () => void {
  const print = () => {
    for (const route of handle.stats().routes) say(statsOf(route, `stats: ${routeLine(route)}`));
  };
  const timer = setInterval(print, period);
  return () => {
    clearInterval(timer);
    print();
  };
}

/** Draws a table in every period, over the last one, and once more at the end. */
export function drawStats(handle: Handle, period: number, draw: (lines: string[]) => void): () => void {
  let last: { at: number; rows: Row[] } | undefined;
  const update = () => {
    const now = { at: performance.now(), rows: handle.stats().routes.flatMap(routeRows) };
    draw(tableOf(now.rows, last?.rows ?? [], now.at - (last?.at ?? now.at)));
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
  /** All other counters, as `--stats` shows them. */
  others: string;
}

function routeRows({ source, sinks }: RouteStats): Row[] {
  return [
    { ...source, others: shown(source, OTHER_SOURCE_COUNTERS) },
    ...sinks.map((sink) => ({ ...sink, name: `-> ${sink.name}`, others: shown(sink, OTHER_SINK_COUNTERS) })),
  ];
}

const { datagrams: _received, ...OTHER_SOURCE_COUNTERS } = SOURCE_COUNTERS;
const { datagrams: _sent, ...OTHER_SINK_COUNTERS } = SINK_COUNTERS;

/** @param elapsed since the last rows, in milliseconds */
function tableOf(rows: Row[], last: Row[], elapsed: number): string[] {
  const rate = (now: number, before = now) => (elapsed > 0 ? ((now - before) / elapsed) * 1000 : 0);
  const cells = rows.map(({ name, datagrams, bytes, others }, i) => [
    name,
    showNumber(Math.round(rate(datagrams, last[i]?.datagrams))),
    ((rate(bytes, last[i]?.bytes) * 8) / 1e6).toFixed(1),
    showNumber(datagrams),
    showBytes(bytes),
    others,
  ]);
  const all = [['', 'datagrams/s', 'Mbps', 'datagrams', 'bytes', ''], ...cells];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const isText = (column: number) => column === 0 || column === widths.length - 1;
  return all.map((row) =>
    row
      .map((cell, column) => (isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

function routeLine({ source, sinks }: RouteStats): string {
  const to = sinks.map((sink) => ` -> ${sink.name}: ${shown(sink, SINK_COUNTERS)}`);
  return `${source.name}: ${shown(source, SOURCE_COUNTERS)}${to.join('')}`;
}

/** The counters that `--stats` shows, in the order of their registry. */
function shown<C extends object>(counts: C, counters: Record<string, Counter<C, never>>): string {
  const texts = Object.entries(counters).flatMap(([path, { stats }]) =>
    valuesOf(counts, path).map(([count, label]) => stats?.(count, counts, label)),
  );
  return texts.filter((text) => text !== undefined).join(', ');
}
