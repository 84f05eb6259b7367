const FIRST_MS = 500;
const MAX_MS = 30_000;
/** A connection that lasted this long resets the delay. */
const STABLE_MS = 10_000;

/**
 * Delay before reconnecting to an upstream: 500 ms, doubling to 30 s or another limit, with jitter. A connection
 * that delivered data or lasted 10 s resets it.
 */
export class Backoff {
  #delay = FIRST_MS;
  #connectedAt: number | undefined;
  #delivered = false;

  /** @param limit in milliseconds */
  constructor(private readonly limit = MAX_MS) {}

  connected(): void {
    this.#connectedAt = performance.now();
  }

  delivered(): void {
    this.#delivered = true;
  }

  /** Whole milliseconds until the next attempt, reduced at random by up to 20% to spread reconnects. */
  next(): number {
    const stable = this.#connectedAt !== undefined && performance.now() - this.#connectedAt >= STABLE_MS;
    const delay = stable || this.#delivered ? FIRST_MS : this.#delay;
    this.#connectedAt = undefined;
    this.#delivered = false;
    this.#delay = Math.min(delay * 2, this.limit);
    return Math.round(delay * (1 - Math.random() / 5));
  }
}
