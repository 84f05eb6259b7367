import { setImmediate } from 'node:timers/promises';
import type { Rate } from 'mproxy-base';
import { Batch } from 'mproxy-framing';
import type { Deliver } from 'mproxy-net';

/** How far behind the schedule is caught up; beyond it (a suspended machine) the schedule starts anew. */
const CATCH_UP_MS = 100;
/** A gap between two batches that is longer is a pause of the input. */
const PAUSE_MS = 5;
/** A schedule that is behind is caught up with in turns with the event loop: so long at a time, ms. */
const TURN_MS = 1;

/** A batch that waits for its time. */
interface ReorderBuffer {
  slab: Buffer;
  lent: boolean;
  lines: boolean;
  offset: Uint32Array;
  length: Uint32Array;
  segment: Uint16Array;
}

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
  /** A copy that is done with, for the next. */
  #spare: Buffer | undefined;
  #sentAt = 0;
  /** Ends the wait under way. */
  #wake: () => void = () => undefined;
  #turnAt = 0;

  constructor(
    private readonly rate: Rate,
    private readonly deliver: Deliver,
    private readonly signal: AbortSignal,
  ) {
    this.#perMs = rate.perSecond / 1000;
    // One listener for all waits: one for each would be memory that only a full collection frees.
    signal.addEventListener('abort', () => this.#wake(), { once: true });
  }

  /** Takes a batch, and resolves when all of it was sent. */
  send(batch: Batch): Promise<void> {
    if (this.#waiting++ === 0) this.#resume();
    const held = this.#hold(batch);
    this.#queue = this.#queue.then(async () => {
      await this.#pass(held);
      if (held.lent) this.#spare = held.slab;
      this.#waiting--;
      this.#sentAt = performance.now();
    });
    return this.#queue;
  }

  /** The entries of a batch, to be sent later; their bytes are copied where the batch's will be filled again. */
  #hold({ slab, lent, lines, count, offset, length, segment, bytes }: Batch): ReorderBuffer {
    const entries = {
      lent,
      lines,
      offset: offset.slice(0, count),
      length: length.slice(0, count),
      segment: segment.slice(0, count),
    };
    if (!lent) return { ...entries, slab };
    const spare = this.#spare;
    this.#spare = undefined;
    const copy = spare && spare.length >= bytes ? spare : Buffer.allocUnsafeSlow(bytes);
    let at = 0;
    for (let i = 0; i < count; i++) {
      slab.copy(copy, at, offset[i]!, offset[i]! + length[i]!);
      entries.offset[i] = at;
      at += length[i]!;
    }
    return { ...entries, slab: copy };
  }

  /** Moves the schedule by as long as the input paused, so that lateness is still caught up, and the pause is not. */
  #resume(): void {
    const now = performance.now();
    const pause = now - this.#sentAt;
    if (pause > PAUSE_MS) this.#due = Math.max(this.#due, Math.min(now, this.#due + pause));
  }

  async #pass({ slab, lent, lines, offset, length, segment }: ReorderBuffer): Promise<void> {
    this.#batch.lent = lent;
    this.#batch.lines = lines;
    this.#batch.reset(slab);
    for (let i = 0; i < offset.length; i++) {
      const end = offset[i]! + length[i]!;
      const step = segment[i]! || length[i]!;
      let at = offset[i]!;
      do {
        if (this.#batch.full || this.#due > performance.now()) await this.#sendDue();
        if (this.#due > performance.now()) await this.#until();
        if (this.signal.aborted) {
          // Sent at once, the rest would outrun those whom the pace is there for.
          this.unsent += end - at;
          break;
        }
        const from = at;
        at = this.#schedule(at, end, step);
        this.#batch.add(from, at - from, at - from > step ? step : 0);
      } while (at < end);
    }
    await this.#sendDue();
  }

  /** Puts datagrams that lie one behind the other on the schedule, at least one. @returns where those that are due end */
  #schedule(from: number, end: number, step: number): number {
    const now = performance.now();
    if (now - this.#due > CATCH_UP_MS) this.#due = now;
    let at = from;
    do {
      const size = Math.min(step, end - at);
      this.#due += (this.rate.unit === 'bits' ? size * 8 : 1) / this.#perMs;
      at += size;
    } while (at < end && this.#due <= now);
    return at;
  }

  async #sendDue(): Promise<void> {
    if (this.#batch.count === 0) return;
    await this.deliver(this.#batch);
    this.#batch.reset(this.#batch.slab);
    if (performance.now() - this.#turnAt < TURN_MS) return;
    await setImmediate();
    this.#turnAt = performance.now();
  }

  /** Timers count whole milliseconds: datagrams due within one go together. */
  async #until(): Promise<void> {
    if (this.signal.aborted) return;
    const ms = Math.max(1, Math.floor(this.#due - performance.now()));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#turnAt = performance.now();
  }
}
