import type { Deliver, OwnSender } from 'mproxy-net';
import type { SourceCounts } from './counts.js';
import type { Sink } from './sink.js';

/** Where a route's datagrams come from. */
export interface Source {
  /** Its name for the user: the address as typed, or the file. */
  readonly name: string;
  readonly counts: SourceCounts;
  /** How to avoid its drops in the kernel. */
  readonly advice?: string;
  /** The messages of `frame=mold` that were lost. */
  readonly lost?: string;
  /** Takes over sinks that its own thread can write to; the route delivers to the others. */
  takeOver?(sinks: readonly Sink[]): Sink[];
  /** Delivers until the source ends or is stopped, then what it still holds; rejects when it fails. */
  run(deliver: Deliver): Promise<void>;
  stop(): void;
  /** Before {@link run}: datagrams that this program itself sends are not delivered. */
  ignore?(from: OwnSender): void;
}
