/** Timeout until an answer was measured, and at most twice that after timeouts, ms. */
const INITIAL_MS = 500;
/** Margin added to the measured timeout; and the limit of backoff (or three times the mean, if more), ms. */
const MARGIN_MS = 30;
const LIMIT_MS = 150;
/** Factor of the timeout after each timeout. */
const BACKOFF = 1.5;
/** Faster answers grow the window, and slower ones halve it, ms. */
const FAST_MS = 40;
const SLOW_MS = 120;

/**
 * The timeout of a request, and the window of outstanding bytes. The timeout follows RFC 6298: the mean
 * answer time plus four times its mean deviation. The window follows the answer time (as LEDBAT does,
 * RFC 6817): loss occurs without load and says nothing about the capacity of path and sender; delay does.
 */
export class RttEstimator {
  #window: number;
  /** Of the answer time, ms; 0 until one was measured. */
  #mean = 0;
  #deviation = 0;
  #halvedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param least minimum window in bytes
   * @param most maximum window in bytes; may change
   * @param random uniform in [0, 1)
   */
  constructor(
    private readonly least: number,
    private readonly most: () => number,
    private readonly random: () => number,
  ) {
    this.#window = 2 * least;
  }

  /** Bytes that may be outstanding. */
  get window(): number {
    return Math.min(this.#window, this.most());
  }

  /** Milliseconds until a request is repeated after this many timeouts. */
  of(late: number): number {
    const spread = 1 + this.random() / 4;
    const most = this.#mean === 0 ? 2 * INITIAL_MS : Math.max(LIMIT_MS, 3 * this.#mean);
    return Math.min(most, this.#timeout * BACKOFF ** late) * spread;
  }

  /** An answer of `bytes` bytes took `ms` milliseconds. */
  answered(now: number, ms: number, bytes: number): void {
    // RFC 6298, section 2. An answer from the same host may take no measurable time.
    if (this.#mean === 0) {
      this.#mean = Math.max(ms, 0.1);
      this.#deviation = ms / 2;
    } else {
      this.#deviation += (Math.abs(this.#mean - ms) - this.#deviation) / 4;
      this.#mean += (ms - this.#mean) / 8;
    }
    if (ms < FAST_MS) this.#window = this.window + bytes;
    else if (ms > SLOW_MS) this.#halve(now);
  }

  /** A request timed out. */
  late(now: number): void {
    this.#halve(now);
  }

  get #timeout(): number {
    return this.#mean === 0 ? INITIAL_MS : MARGIN_MS + this.#mean + 4 * this.#deviation;
  }

  /** Halves the window, once for all requests in flight. */
  #halve(now: number): void {
    if (now - this.#halvedAt < this.#timeout) return;
    this.#halvedAt = now;
    this.#window = Math.max(this.least, this.window / 2);
  }
}
