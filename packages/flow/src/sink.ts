import type { Batch } from 'mproxy-framing';
import type { ThreadSinks } from 'mproxy-net';
import type { SinkCounts } from './counts.js';

/** Where a route's datagrams go. */
export interface Sink {
  /** Its name for the user: the address as typed, the file, `stdout`. */
  readonly name: string;
  readonly counts: SinkCounts;
  /** Why it is not connected; undefined: it is, or makes no connection. */
  readonly disconnected?: string | undefined;
  /** Why it dropped datagrams, the last ones if there were several reasons. */
  readonly dropReason: string;
  /** A remedy for that. */
  readonly dropAdvice?: string | undefined;
  /** A remedy for errors of a name (`ENETUNREACH`, ...). */
  errorAdvice?(code: string): string | undefined;
  /** Resolves when its reader is gone; a route ends when all its sinks have ended. */
  readonly ended?: Promise<void>;
  /** How sources of its type recognise what it sends (`ignore`): of UDP, its sockets as `OwnSender`. */
  readonly own?: readonly unknown[];
  /**
   * How a receiver's thread writes to it directly; undefined where it needs the event loop.
   * @param isShared whether other sources have it, too
   */
  inThread?(isShared: boolean): Partial<ThreadSinks> | undefined;
  /** A route that delivers to it on the event loop begins. */
  begin?(): void;
  /** Takes a batch; never throws, never blocks on a peer. The batch is lent for the call. */
  write(batch: Batch): void;
  /** Called at the end of a burst: writes the gathered data. */
  flush(): void;
  /** Undefined while it can take more; else resolves when it can. Sources that cannot wait ignore it. */
  room(): Promise<void> | undefined;
  /**
   * Undefined when what was written and flushed has left the program: is in the file, or was taken by the connection or
   * the stream; else resolves when it has. A kill then loses none of it. A sink without it never waits: UDP, and clients,
   * each of which has a queue of its own.
   */
  stored?(): Promise<void> | undefined;
  /** The program stops: pending waits for room resolve, and closing waits for no reader. */
  abortPending(): void;
  /** Writes what it still holds, and closes. Called once. */
  close(): Promise<void>;
}

/** Undefined when all of the sinks stored what was written to them; else resolves when they have. */
export function storedBy(sinks: readonly Sink[]): Promise<void> | undefined {
  const waits = sinks.map((sink) => sink.stored?.()).filter((wait) => wait !== undefined);
  return waits.length > 0 ? Promise.all(waits).then(() => undefined) : undefined;
}
