import type { Deliver } from 'mproxy-net';
import type { SourceCounts } from './counts.js';
import type { Sink } from './sink.js';

/** Where a route's datagrams come from. */
export interface Source {
  /** Its name for the user: the address as typed, or the file. */
  readonly name: string;
  readonly counts: SourceCounts;
  /** Why it is not connected; undefined: it is, or makes no connection. */
  readonly disconnected?: string | undefined;
  /** How to avoid its drops in the kernel. */
  readonly advice?: string | undefined;
  /** The messages of `frame=mold` that were lost. */
  readonly lost?: string;
  /** How to lose fewer of them, where more retransmission would not help. */
  readonly lossAdvice?: string | undefined;
  /**
   * Takes over sinks that its own thread can write to; the route delivers to the others.
   * @param areShared whether other sources have them, too
   */
  takeOver?(sinks: readonly Sink[], areShared: boolean): Sink[];
  /**
   * Delivers until the source ends or is stopped, then what it still holds; rejects when it fails.
   * @param stored undefined when the sinks stored what was delivered, else resolves when they have
   */
  run(deliver: Deliver, stored: () => Promise<void> | undefined): Promise<void>;
  stop(): void;
  /** Before {@link run}: what a sink of its type sends is not delivered; see `own` of {@link Sink}. */
  ignore?(own: unknown): void;
}
