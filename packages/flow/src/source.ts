import type { Deliver } from 'mproxy-net';
import type { SourceCounts } from './counts.js';
import type { Sink } from './sink.js';

/** Where a route's datagrams come from. Every kind of source is one file behind this contract. */
export interface Source {
  /** What the user calls it: the address as typed, or the file. */
  readonly name: string;
  readonly counts: SourceCounts;
  /** What would spare it the drops in the kernel. */
  readonly advice?: string;
  /** Which messages of `frame=mold` could not be had. */
  readonly lost?: string;
  /** Takes over those sinks that a thread of its own can write to; the route delivers to the others. */
  takeOver?(sinks: readonly Sink[]): Sink[];
  /** Delivers until the source ends or is stopped, and then what it still holds; rejects when it fails for good. */
  run(deliver: Deliver): Promise<void>;
  stop(): void;
}
