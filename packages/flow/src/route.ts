import type { Batch } from 'mproxy-framing';
import type { Deliver } from 'mproxy-net';
import type { RouteStats } from './counts.js';
import { type Sink, storedBy } from './sink.js';
import type { Source } from './source.js';

/** Delays batches between a source and its sinks until they are due. */
export type Pace = (deliver: Deliver) => { send: Deliver };

export interface RouteOptions {
  pace?: Pace | undefined;
  /** Stop it after the others, whose output it receives. */
  last?: boolean;
  /** Whether other routes have the same sinks. */
  shared?: boolean;
}

/** One source with its sinks. It has its own counters and its own end. */
export class Route {
  #flushing = false;

  constructor(
    readonly source: Source,
    readonly sinks: readonly Sink[],
    private readonly options: RouteOptions = {},
  ) {}

  /** Moves data until the source ends. The sinks stay open: another route may share them. */
  async run(): Promise<void> {
    const ends = this.sinks.map(({ ended }) => ended);
    if (ends.length > 0 && ends.every((ended) => ended !== undefined))
      void Promise.all(ends).then(() => this.source.stop());
    const taken = this.source.takeOver?.(this.sinks, this.options.shared ?? false) ?? [];
    const others = this.sinks.filter((sink) => !taken.includes(sink));
    for (const sink of others) sink.begin?.();
    const deliver: Deliver = (batch) => this.#deliver(batch, others);
    const pacer = this.options.pace?.(deliver);
    const stored = () => storedBy(others);
    await this.source.run(pacer ? (batch) => pacer.send(batch) : deliver, stored);
    this.#flush(others);
  }

  stop(): void {
    this.source.stop();
  }

  /** @param sinkStats of each sink */
  stats(sinkStats: (sink: Sink) => RouteStats['sinks'][number]): RouteStats {
    const { source, sinks } = this;
    const { name, disconnected, counts } = source;
    return { source: { name, disconnected, ...counts }, sinks: sinks.map(sinkStats) };
  }

  /** The hot path: all datagrams that no receiving thread writes itself. */
  #deliver(batch: Batch, sinks: Sink[]): Promise<void> | undefined {
    const rooms: Promise<void>[] = [];
    for (const sink of sinks) {
      sink.write(batch);
      const room = sink.room();
      if (room) rooms.push(room);
    }
    if (!this.#flushing) {
      this.#flushing = true;
      // After this turn's reads: one write for all of them.
      setImmediate(() => this.#flush(sinks));
    }
    return rooms.length > 0 ? Promise.all(rooms).then(() => undefined) : undefined;
  }

  #flush(sinks: Sink[]): void {
    this.#flushing = false;
    for (const sink of sinks) sink.flush();
  }
}
