const FIRST_MS = 500;
const LONGEST_MS = 30_000;
/** A connection that lived so long was a good one. */
const GOOD_MS = 10_000;

/**
 * How long to wait before an upstream is tried again: half a second, doubling to thirty, with jitter. A connection that
 * delivered data or lived ten seconds starts it anew.
 */
export class Backoff {
  #delay = FIRST_MS;
  #connectedAt: number | undefined;
  #delivered = false;

  connected(): void {
    this.#connectedAt = performance.now();
  }

  /** The connection delivered data. */
  delivered(): void {
    this.#delivered = true;
  }

  /** Milliseconds until the next attempt; up to a fifth less at random, so that many do not come at once. */
  next(): number {
    const lived = this.#connectedAt !== undefined && performance.now() - this.#connectedAt >= GOOD_MS;
    const delay = lived || this.#delivered ? FIRST_MS : this.#delay;
    this.#connectedAt = undefined;
    this.#delivered = false;
    this.#delay = Math.min(delay * 2, LONGEST_MS);
    return delay * (1 - Math.random() / 5);
  }
}
