/** What a source took in. */
export interface SourceCounts {
  datagrams: number;
  bytes: number;
  /** Those of the datagrams that came in without bytes. */
  empty: number;
  /** Datagrams that the kernel dropped for want of receive buffer; undefined where the platform does not tell. */
  kernelDropped?: number | undefined;
  /** Datagrams dropped because the program itself did not keep up. */
  dropped: number;
  /** Lines that got a newline because their stream ended inside them. */
  brokenLines: number;
  /** Messages of `octet-counted` that are longer than a datagram, or that their stream ended inside of. */
  discarded: number;
  /** Times that an upstream was connected again, or a followed file opened again. */
  reconnects: number;
  /** TCP connections now, and since the start. */
  connections?: { now: number; ever: number };
  /** Refused by `--allow`: datagrams of a UDP source. Of a TCP source connections, also by `--max-senders` and where no descriptors are left. */
  refused: number;
  /** Senders disconnected because they sent nothing for the sender timeout. */
  timedOut?: number;
  /** Of `frame=mold`; messages, but for `gaps`, `asked` (requests sent) and `malformed` (packets refused). */
  mold?: {
    gaps: number;
    asked: number;
    repaired: number;
    duplicates: number;
    lost: number;
    malformed: number;
  };
}

/** What a sink passed on. */
export interface SinkCounts {
  datagrams: number;
  bytes: number;
  /** Datagrams dropped because the sink, or one of its clients, did not keep up or could not be written to. */
  dropped: number;
  /** Errors by name (`ECONNREFUSED`, `ENOSPC`, ...). All but ECONNREFUSED cost a UDP sink the datagram. */
  errors: Record<string, number>;
  /** Those of `errors` that the network returned for datagrams already sent, by name and destination (linux engine). */
  returned: Record<string, number>;
  /** TCP clients now, and since the start. */
  clients?: { now: number; ever: number };
  /** Times that a file was rotated, where it is. */
  rotations?: number;
  /** Clients closed at once: `--allow`, `--max-clients`, or no descriptors left. */
  refused: number;
  /** Clients disconnected because they took nothing for the client timeout. */
  timedOut: number;
  /**
   * Of `frame=mold`: messages sent, requests received, those that were refused, packets sent again, and those of them
   * that the kernel did not take.
   */
  mold?: { messages: number; requests: number; refused: number; answers: number; unsent: number };
}

export interface RouteStats {
  source: SourceCounts & { name: string };
  sinks: (SinkCounts & { name: string })[];
}

export interface Stats {
  routes: RouteStats[];
}

export function sourceCounts(): SourceCounts {
  const lines = { brokenLines: 0, discarded: 0 };
  return { datagrams: 0, bytes: 0, empty: 0, dropped: 0, ...lines, reconnects: 0, refused: 0 };
}

export function sinkCounts(): SinkCounts {
  return { datagrams: 0, bytes: 0, dropped: 0, errors: {}, returned: {}, refused: 0, timedOut: 0 };
}

/** Datagrams of a UDP sink that the kernel did not take: a refusal, and what the network returned, came afterwards. */
export function unsent({
  dropped,
  errors,
  returned,
}: Pick<SinkCounts, 'dropped' | 'errors' | 'returned'>): number {
  const { ECONNREFUSED: _refused, ...counts } = errors;
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const later = Object.entries(returned).filter(([key]) => !key.startsWith('ECONNREFUSED '));
  return dropped + all - later.reduce((sum, [, count]) => sum + count, 0);
}
