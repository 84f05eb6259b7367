import type { Batch, Deliver } from 'mproxy-udp';
import type { RouteStats } from './counts.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';

/** Stands between a source and its sinks, and holds back what is not due yet. */
export type Pace = (deliver: Deliver) => { send: Deliver };

/** One source with its sinks: the unit of everything. It has its own counters and its own end. */
export class Route {
  #flushing = false;

  constructor(
    readonly source: Source,
    readonly sinks: readonly Sink[],
    private readonly pace?: Pace,
  ) {}

  /** Moves data until the source ends. The sinks stay open: another route may share them. */
  async run(): Promise<void> {
    const ends = this.sinks.map(({ ended }) => ended);
    if (ends.length > 0 && ends.every((ended) => ended !== undefined))
      void Promise.all(ends).then(() => this.source.stop());
    const deliver: Deliver = (batch) => this.#deliver(batch);
    const pacer = this.pace?.(deliver);
    await this.source.run(pacer ? (batch) => pacer.send(batch) : deliver);
    this.#flush();
  }

  stop(): void {
    this.source.stop();
  }

  stats(): RouteStats {
    const { source, sinks } = this;
    return {
      source: { name: source.name, ...source.counts },
      sinks: sinks.map((sink) => ({ name: sink.name, ...sink.counts })),
    };
  }

  /** The hot path: every datagram of every command passes here, in its batch. */
  #deliver(batch: Batch): Promise<void> | undefined {
    const { counts } = this.source;
    counts.datagrams += batch.datagrams;
    counts.bytes += batch.bytes;
    const rooms: Promise<void>[] = [];
    for (const sink of this.sinks) {
      sink.write(batch);
      const room = sink.room();
      if (room) rooms.push(room);
    }
    if (!this.#flushing) {
      this.#flushing = true;
      // After this turn's reads: one write for all that was there to be read.
      setImmediate(() => this.#flush());
    }
    return rooms.length > 0 ? Promise.all(rooms).then(() => undefined) : undefined;
  }

  #flush(): void {
    this.#flushing = false;
    for (const sink of this.sinks) sink.flush();
  }
}
