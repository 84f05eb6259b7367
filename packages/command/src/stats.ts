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

function routeLine({ source, sinks }: RouteStats): string {
  const to = sinks.map((sink) => ` -> ${sink.name}: ${shownCounters(sink, SINK_COUNTERS)}`);
  return `${source.name}: ${shownCounters(source, SOURCE_COUNTERS)}${to.join('')}`;
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
