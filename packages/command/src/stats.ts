import { showBytes, showCount, showNumber } from 'mproxy-base';
import type { Handle, RouteStats, SinkCounts, SourceCounts } from 'mproxy-flow';

/** Prints one line per route in every period, and once more at the end. */
export function printStats(handle: Handle, period: number, say: (text: string) => void): () => void {
  const print = () => {
    for (const route of handle.stats().routes) say(`stats: ${routeLine(route)}`);
  };
  const timer = setInterval(print, period);
  return () => {
    clearInterval(timer);
    print();
  };
}

function routeLine({ source, sinks }: RouteStats): string {
  const to = sinks.map((sink) => ` -> ${sink.name}: ${[totals(sink), ...sinkExtras(sink)].join(', ')}`);
  return `${source.name}: ${[totals(source), ...sourceExtras(source)].join(', ')}${to.join('')}`;
}

function totals({ datagrams, bytes }: { datagrams: number; bytes: number }): string {
  return `${showCount(datagrams, 'datagram')} ${showBytes(bytes)}`;
}

function sourceExtras({
  empty,
  kernelDropped = 0,
  brokenLines,
  discarded,
  reconnects,
  refused,
  timedOut = 0,
  connections,
  dropped,
  mold,
}: SourceCounts): string[] {
  return [
    ...ifAny(empty, 'empty datagram'),
    ...nowAndEver('connection', connections),
    ...ifAny(reconnects, 'reconnect'),
    ...ifAny(refused, connections ? 'refused connection' : 'refused datagram'),
    ...ifAny(timedOut, 'timed-out sender'),
    ...ifAny(brokenLines, 'broken line'),
    ...ifAny(discarded, 'discarded message'),
    ...ifAny(kernelDropped, 'kernel drop'),
    ...ifAny(dropped, 'dropped datagram'),
    ...(mold ? moldReceived(mold) : []),
  ];
}

function sinkExtras({
  dropped,
  errors,
  clients,
  refused,
  timedOut,
  rotations = 0,
  mold,
}: SinkCounts): string[] {
  return [
    ...nowAndEver('client', clients),
    ...ifAny(refused, 'refused client'),
    ...ifAny(timedOut, 'timed-out client'),
    ...ifAny(rotations, 'rotation'),
    ...ifAny(dropped, 'dropped datagram'),
    ...Object.entries(errors).map(([code, count]) => `${code} ${count}`),
    ...(mold ? moldSent(mold) : []),
  ];
}

function moldReceived(mold: NonNullable<SourceCounts['mold']>): string[] {
  const { gaps, asked, repaired, duplicates, lost, malformed } = mold;
  return [
    showCount(gaps, 'gap'),
    ...ifAny(asked, 'request'),
    ...ifAny(repaired, 'message repaired', 'messages repaired'),
    ...ifAny(duplicates, 'duplicate'),
    ...ifAny(lost, 'message lost', 'messages lost'),
    ...ifAny(malformed, 'malformed packet'),
  ];
}

function moldSent({
  messages,
  requests,
  refused,
  answers,
  unsent,
}: NonNullable<SinkCounts['mold']>): string[] {
  return [
    showCount(messages, 'message'),
    ...ifAny(requests, 'request'),
    ...ifAny(refused, 'refused request'),
    ...ifAny(answers, 'packet sent again', 'packets sent again'),
    ...ifAny(unsent, 'of them not sent', 'of them not sent'),
  ];
}

function nowAndEver(word: string, count: { now: number; ever: number } | undefined): string[] {
  return count ? [`${showCount(count.now, word)} now ${showNumber(count.ever)} ever`] : [];
}

function ifAny(count: number, ...words: [one: string, many?: string]): string[] {
  return count > 0 ? [showCount(count, ...words)] : [];
}
