import { setImmediate } from 'node:timers/promises';
import type { Rate } from 'mproxy-base';
import { Batch } from 'mproxy-framing';
import type { Deliver } from 'mproxy-net';

/** Lateness that is caught up, ms; beyond it (a suspended machine) the schedule starts anew. */
const CATCH_UP_MS = 100;
/** A longer gap between two batches is a pause of the input, ms. */
const PAUSE_MS = 5;
/** While catching up, the pacer yields to the event loop after this long, ms. */
const YIELD_MS = 1;

/** A batch that is not due yet. */
interface HeldBatch {
  slab: Buffer;
  lent: boolean;
  lines: boolean;
  offset: Uint32Array;
  length: Uint32Array;
  segment: Uint16Array;
}

/**
 * Sends on a schedule counted from a monotonic start: delays of timers do not add up. A pause of the input
 * starts the schedule anew, without a burst after it.
 */
export class Pacer {
  /** Bytes that were read but not sent because the program was stopped. */
  unsent = 0;
  readonly #batch = new Batch();
  readonly #perMs: number;
  /** When the next datagram is due, by `performance.now()`. */
  #due = 0;
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;
  /** The buffer of an earlier copy, for reuse. */
  #spare: Buffer | undefined;
  #sentAt = 0;
  /** Ends the current wait. */
  #wake: () => void = () => undefined;
  #yieldedAt = 0;

  constructor(
    private readonly rate: Rate,
    private readonly deliver: Deliver,
    private readonly signal: AbortSignal,
  ) {
    this.#perMs = rate.perSecond / 1000;
    // One listener for all waits: one for each would use memory that only a full garbage collection frees.
    signal.addEventListener('abort', () => this.#wake(), { once: true });
  }

  /** Takes a batch; resolves when all of it was sent. */
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

  /** The entries of a batch, to be sent later. Bytes that are lent are copied. */
  #hold({ slab, lent, lines, count, offset, length, segment, bytes }: Batch): HeldBatch {
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

  /** Moves the schedule by the pause of the input: lateness is still caught up, the pause is not. */
  #resume(): void {
    const now = performance.now();
    const pause = now - this.#sentAt;
    if (pause > PAUSE_MS) this.#due = Math.max(this.#due, Math.min(now, this.#due + pause));
  }

  async #pass({ slab, lent, lines, offset, length, segment }: HeldBatch): Promise<void> {
    this.#batch.lent = lent;
    this.#batch.lines = lines;
    this.#batch.reset(slab);
    for (let i = 0; i < offset.length; i++) {
      const end = offset[i]! + length[i]!;
      const step = segment[i]! || length[i]!;
      let at = offset[i]!;
      do {
        if (this.#batch.full || this.#due > performance.now()) await this.#sendDue();
        if (this.#due > performance.now()) await this.#waitUntilDue();
        if (this.signal.aborted) {
          // Sent unpaced, the rest would overrun the receivers.
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

  /** Schedules contiguous datagrams, at least one. @returns where those that are due end */
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
    if (performance.now() - this.#yieldedAt < YIELD_MS) return;
    await setImmediate();
    this.#yieldedAt = performance.now();
  }

  /** Timers have a resolution of one millisecond: datagrams due within one are sent together. */
  async #waitUntilDue(): Promise<void> {
    if (this.signal.aborted) return;
    const ms = Math.max(1, Math.floor(this.#due - performance.now()));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#yieldedAt = performance.now();
  }
}
