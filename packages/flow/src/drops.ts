import type { Sink } from './sink.js';

/** Counts what a sink that makes a connection drops, and knows whether it was connected then. */
export class Drops {
  /** What `disconnected` of the sink was when it last dropped something. */
  #disconnected: string | undefined;

  constructor(private readonly sink: Pick<Sink, 'counts' | 'disconnected'>) {}

  /** @param datagrams may be 0 */
  add(datagrams: number): void {
    if (datagrams > 0) this.#disconnected = this.sink.disconnected;
    this.sink.counts.dropped += datagrams;
  }

  /** Why the last ones were dropped, if the sink was not connected; else undefined. */
  get reason(): string | undefined {
    return this.#disconnected === undefined ? undefined : `not connected: ${this.#disconnected}`;
  }
}
