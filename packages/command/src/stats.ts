import { showBytes, showCount, showNumber } from 'mproxy-base';
import type { Handle, RouteStats, SinkCounts, SourceCounts } from 'mproxy-flow';

/** Prints a line a route every period, and once more at the end. */
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
  const to = sinks.map((sink) => ` -> ${sink.name}: ${[moved(sink), ...sinkExtras(sink)].join(', ')}`);
  return `${source.name}: ${[moved(source), ...sourceExtras(source)].join(', ')}${to.join('')}`;
}

function moved({ datagrams, bytes }: { datagrams: number; bytes: number }): string {
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
    ...some(empty, 'empty datagram'),
    ...people('connection', connections),
    ...some(reconnects, 'reconnect'),
    ...some(refused, connections ? 'refused connection' : 'refused datagram'),
    ...some(timedOut, 'timed-out sender'),
    ...some(brokenLines, 'broken line'),
    ...some(discarded, 'discarded message'),
    ...some(kernelDropped, 'kernel drop'),
    ...some(dropped, 'dropped datagram'),
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
    ...people('client', clients),
    ...some(refused, 'refused client'),
    ...some(timedOut, 'timed-out client'),
    ...some(rotations, 'rotation'),
    ...some(dropped, 'dropped datagram'),
    ...Object.entries(errors).map(([code, count]) => `${code} ${count}`),
    ...(mold ? moldSent(mold) : []),
  ];
}

function moldReceived(mold: NonNullable<SourceCounts['mold']>): string[] {
  const { gaps, asked, repaired, duplicates, lost, malformed } = mold;
  return [
    showCount(gaps, 'gap'),
    ...some(asked, 'request'),
    ...some(repaired, 'message repaired', 'messages repaired'),
    ...some(duplicates, 'duplicate'),
    ...some(lost, 'message lost', 'messages lost'),
    ...some(malformed, 'malformed packet'),
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
    ...some(requests, 'request'),
    ...some(refused, 'refused request'),
    ...some(answers, 'packet sent again', 'packets sent again'),
    ...some(unsent, 'of them not sent', 'of them not sent'),
  ];
}

function people(word: string, count: { now: number; ever: number } | undefined): string[] {
  return count ? [`${showCount(count.now, word)} now ${showNumber(count.ever)} ever`] : [];
}

function some(count: number, ...words: [one: string, many?: string]): string[] {
  return count > 0 ? [showCount(count, ...words)] : [];
}
