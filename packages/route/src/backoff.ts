const FIRST_MS = 500;
const LONGEST_MS = 30_000;
/** A connection that lived so long was a good one: the next failure starts anew. */
const GOOD_MS = 10_000;

/** How long to wait before an upstream is tried again: half a second, doubling to thirty, with jitter. */
export class Backoff {
  #delay = FIRST_MS;
  #connectedAt: number | undefined;

  connected(): void {
    this.#connectedAt = performance.now();
  }

  /** Milliseconds until the next attempt; up to a fifth less at random, so that many do not come at once. */
  next(): number {
    const good = this.#connectedAt !== undefined && performance.now() - this.#connectedAt >= GOOD_MS;
    this.#connectedAt = undefined;
    const delay = good ? FIRST_MS : this.#delay;
    this.#delay = Math.min(delay * 2, LONGEST_MS);
    return delay * (1 - Math.random() / 5);
  }
}
