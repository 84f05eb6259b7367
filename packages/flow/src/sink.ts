import type { Batch } from 'mproxy-framing';
import type { ThreadSinks } from 'mproxy-net';
import type { SinkCounts } from './counts.js';

/** Where a route's datagrams go. Every kind of sink is one file behind this contract. */
export interface Sink {
  /** What the user calls it: the address as typed, the file, `stdout`. */
  readonly name: string;
  readonly counts: SinkCounts;
  /** Why it drops datagrams, when it does, and what would help. */
  readonly dropReason: string;
  /** What would have spared errors of a name (`ENETUNREACH`, ...). */
  errorAdvice?(code: string): string | undefined;
  /** Resolves when its reader is gone for good; a route ends when that is so of all its sinks. */
  readonly ended?: Promise<void>;
  /** How the thread of a receiver writes to it itself; undefined where it lives on the event loop. */
  inThread?(): Partial<ThreadSinks> | undefined;
  /** Takes a batch, never throws and never blocks on a peer. The batch is lent for the call. */
  write(batch: Batch): void;
  /** A burst is over: what was gathered goes out now. */
  flush(): void;
  /** Undefined while it can take more; else resolves when it can. A source that cannot wait need not ask. */
  room(): Promise<void> | undefined;
  /** The program was asked to stop: whoever waits for room goes on, and closing waits for no reader. */
  abortPending(): void;
  /** Writes out what it still holds, and closes. Called once. */
  close(): Promise<void>;
}
