/** What a source took in. */
export interface SourceCounts {
  datagrams: number;
  bytes: number;
  /** Datagrams that the kernel dropped for want of receive buffer; undefined where the platform does not tell. */
  kernelDropped?: number | undefined;
  /** Datagrams dropped because the program itself did not keep up. */
  dropped: number;
  /** Lines that got a newline because their stream ended inside them. */
  brokenLines: number;
  /** Times that an upstream was connected again, or a followed file opened again. */
  reconnects: number;
  /** TCP connections now, and since the start. */
  connections?: { now: number; ever: number };
  /** Connections turned away by `--allow`. */
  refused: number;
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
  /** TCP clients now, and since the start. */
  clients?: { now: number; ever: number };
  /** Times that a file was rotated, where it is. */
  rotations?: number;
  /** Clients turned away by `--allow` or `--max-clients`. */
  refused: number;
  /** Clients disconnected because they took nothing for the client timeout. */
  timedOut: number;
  /** Of `frame=mold`: messages sent, requests heard, those that were refused, and packets sent again. */
  mold?: { messages: number; requests: number; refused: number; answers: number };
}

export interface RouteStats {
  source: SourceCounts & { name: string };
  sinks: (SinkCounts & { name: string })[];
}

export interface Stats {
  routes: RouteStats[];
}

export function sourceCounts(): SourceCounts {
  return { datagrams: 0, bytes: 0, dropped: 0, brokenLines: 0, reconnects: 0, refused: 0 };
}

export function sinkCounts(): SinkCounts {
  return { datagrams: 0, bytes: 0, dropped: 0, errors: {}, refused: 0, timedOut: 0 };
}
