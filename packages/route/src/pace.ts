import { setTimeout as wait } from 'node:timers/promises';
import { Batch, type Deliver } from 'mproxy-udp';
import type { Rate } from './units.js';

/** How far behind the schedule is caught up; beyond it (a suspended machine) the schedule starts anew. */
const CATCH_UP_MS = 100;
/** A gap between two batches that is longer is a pause of the input. */
const PAUSE_MS = 5;

/**
 * Sends on a schedule that is counted from a monotonic start, so that the lateness of timers never adds up. A pause
 * of the input starts the schedule anew: it earns no burst.
 */
export class Pacer {
  /** Bytes that were read, and not sent because the program was stopped. */
  unsent = 0;
  readonly #batch = new Batch();
  readonly #perMs: number;
  /** When the next datagram is due, by `performance.now()`. */
  #due = 0;
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;
  #sentAt = 0;

  constructor(
    private readonly rate: Rate,
    private readonly deliver: Deliver,
    private readonly signal: AbortSignal,
  ) {
    this.#perMs = rate.perSecond / 1000;
  }

  /** Takes a batch, and resolves when all of it was sent. */
  send(batch: Batch): Promise<void> {
    if (this.#waiting++ === 0) this.#resume();
    const datagrams: Buffer[] = [];
    batch.each((offset, length) => datagrams.push(batch.keep(offset, length)));
    this.#queue = this.#queue.then(async () => {
      for (const datagram of datagrams) await this.#one(datagram);
      this.#waiting--;
      this.#sentAt = performance.now();
    });
    return this.#queue;
  }

  /** Moves the schedule by as long as the input paused, so that lateness is still caught up, and the pause is not. */
  #resume(): void {
    const now = performance.now();
    const pause = now - this.#sentAt;
    if (pause > PAUSE_MS) this.#due = Math.max(this.#due, Math.min(now, this.#due + pause));
  }

  async #one(datagram: Buffer): Promise<void> {
    const { length } = datagram;
    const early = this.#due - performance.now();
    if (early > 0) await this.#until();
    if (this.signal.aborted) {
      // Sent at once, the rest would outrun those whom the pace is there for.
      this.unsent += length;
      return;
    }
    if (-early > CATCH_UP_MS) this.#due = performance.now();
    this.#due += (this.rate.unit === 'bits' ? length * 8 : 1) / this.#perMs;
    this.#batch.reset(datagram);
    this.#batch.add(0, length);
    await this.deliver(this.#batch);
  }

  /** Timers count whole milliseconds: datagrams due within one go together. */
  async #until(): Promise<void> {
    const ms = this.#due - performance.now();
    await wait(Math.max(1, Math.floor(ms)), undefined, { signal: this.signal }).catch(() => undefined);
  }
}
