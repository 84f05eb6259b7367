import type { MoldReceived, MoldSent } from './endpoints/mold/counters.js';
import type { Figures } from './figures.js';

/** What a source received. The words of each counter are in counters.ts. */
export interface SourceCounts {
  datagrams: number;
  bytes: number;
  /** Those of the datagrams without payload. */
  empty: number;
  /** Datagrams dropped with the receive buffer full; undefined where the platform does not report it. */
  kernelDropped?: number | undefined;
  /** Datagrams dropped because this program did not keep up. */
  dropped: number;
  /** Lines that got a newline because their stream ended inside them. */
  brokenLines: number;
  /** Messages of `octet-counted` that are longer than a datagram or cut off by the end of their stream. */
  discarded: number;
  /** Times that an upstream was reconnected, or a followed file reopened. */
  reconnects: number;
  /** TCP connections now, and since the start. */
  connections?: { now: number; ever: number };
  /** Milliseconds in which messages were not received, as the connection was gone. */
  interruptedMs?: number;
  /** Messages that came more than once, and were delivered once. */
  duplicates?: number;
  /** Messages that the stream had no more. */
  lost?: number;
  /** Refused by `--allow`: datagrams. TCP: connections, also by `--max-senders` or without descriptors. */
  refused: number;
  /** Senders disconnected after the sender timeout. */
  timedOut?: number;
  mold?: MoldReceived;
}

/** What a sink sent. */
export interface SinkCounts {
  datagrams: number;
  bytes: number;
  /** Datagrams dropped because the sink or one of its clients was too slow or could not be written to. */
  dropped: number;
  /** Messages that were split, as they are larger than a datagram. */
  split?: number;
  /** Errors by name (`ECONNREFUSED`, `ENOSPC`, ...). All but ECONNREFUSED cost a UDP sink the datagram. */
  errors: Record<string, number>;
  /** Those of `errors` that the network returned later, by name and destination (linux engine). */
  returned: Record<string, number>;
  /** TCP clients now, and since the start. */
  clients?: { now: number; ever: number };
  /** Times that a file was rotated, if rotation is on. */
  rotations?: number;
  /** Clients refused: `--allow`, `--max-clients`, or no descriptors left. */
  refused: number;
  /** Clients disconnected after the client timeout. */
  timedOut: number;
  /** Connections to a TCP destination now, and since the start. */
  connections?: { now: number; ever: number };
  reconnects?: number;
  /** Messages that were stored: acknowledged, sent again, and those of them that were stored before. */
  acknowledged?: number;
  resent?: number;
  duplicates?: number;
  /** Messages that the destination refused for good. */
  refusedMessages?: number;
  /** Messages that a connection took, and that its end left unconfirmed: they may be lost. */
  unconfirmed?: number;
  mold?: MoldSent;
}

/** An endpoint of a route. */
export interface Named {
  name: string;
  /** Why it is not connected; undefined: it is, or makes no connection. */
  disconnected?: string | undefined;
}

export interface RouteStats {
  source: SourceCounts & Named;
  /** `shared`: other routes send to the sink, too; its counts are those of all of them. */
  sinks: (SinkCounts & Named & { shared?: true })[];
}

export interface Stats {
  routes: RouteStats[];
  /** Of a program that does more than pass on datagrams. */
  figures?: Figures;
}

export function sourceCounts(): SourceCounts {
  const lines = { brokenLines: 0, discarded: 0 };
  return { datagrams: 0, bytes: 0, empty: 0, dropped: 0, ...lines, reconnects: 0, refused: 0 };
}

export function sinkCounts(): SinkCounts {
  return { datagrams: 0, bytes: 0, dropped: 0, errors: {}, returned: {}, refused: 0, timedOut: 0 };
}

/** Connections now and since the start, and how many of them followed another. */
export type ConnectionCounts = Required<Pick<SinkCounts, 'connections' | 'reconnects'>>;

export function connectionCounts(): ConnectionCounts {
  return { connections: { now: 0, ever: 0 }, reconnects: 0 };
}

/** Counts a new connection. */
export function countConnection(counts: ConnectionCounts): void {
  if (counts.connections.ever++ > 0) counts.reconnects++;
  counts.connections.now++;
}

/** Adds counts by their names. */
function add(sum: Record<string, number>, more: Record<string, number>): void {
  for (const [name, count] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + count;
}

/** Counts that only some sinks have. */
const OPTIONAL = ['refusedMessages', 'unconfirmed'] as const;

/** Adds what a socket, or another sink, sent. */
export function addCounts(
  sum: SinkCounts,
  {
    datagrams,
    bytes,
    dropped,
    errors,
    returned,
    ...others
  }: Pick<SinkCounts, 'datagrams' | 'bytes' | 'dropped' | 'errors' | 'returned' | (typeof OPTIONAL)[number]>,
): void {
  sum.datagrams += datagrams;
  sum.bytes += bytes;
  sum.dropped += dropped;
  add(sum.errors, errors);
  add(sum.returned, returned);
  for (const name of OPTIONAL) {
    const count = others[name];
    if (count !== undefined) sum[name] = (sum[name] ?? 0) + count;
  }
}

/** Counts lost datagrams by the name of their error. */
export function addError({ errors }: SinkCounts, name: string, count = 1): void {
  errors[name] = (errors[name] ?? 0) + count;
}

/** Datagrams that the kernel, or a stream, did not take; ECONNREFUSED and `returned` concern datagrams that it took. */
export function unsent({
  dropped,
  errors,
  returned,
  refusedMessages = 0,
}: Pick<SinkCounts, 'dropped' | 'errors' | 'returned' | 'refusedMessages'>): number {
  const { ECONNREFUSED: _refused, ...counts } = errors;
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const returnedLater = Object.entries(returned).filter(([key]) => !key.startsWith('ECONNREFUSED '));
  return dropped + refusedMessages + all - returnedLater.reduce((sum, [, count]) => sum + count, 0);
}
