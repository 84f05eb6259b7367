/** Until an answer was timed, one is waited for so long, and at most twice that, ms. */
const FIRST_MS = 500;
/** Then an answer is waited for so much longer than answers take; and, however often it was late, at most this, or thrice what they take, ms. */
const SPARE_MS = 30;
const MOST_MS = 150;
/** How much longer the wait is each time. */
const BACKOFF = 1.5;
/** Answers that take less say that more may be asked for at once, and answers that take more that less may, ms. */
const QUICK_MS = 40;
const SLOW_MS = 120;

/**
 * How long an answer is waited for, and how much may be asked for at once. The first is what RFC 6298 has: the mean
 * time of an answer and four times its mean deviation. The second follows the same time (as LEDBAT does, RFC 6817):
 * loss says nothing of what way and sender can take, as there is loss without any load, but waiting does.
 */
export class RttEstimator {
  #window: number;
  /** Of the time that answers take; 0 until one was timed. */
  #mean = 0;
  #deviation = 0;
  #cutAt = Number.NEGATIVE_INFINITY;

  /**
   * @param least bytes that may be asked for in any case
   * @param most bytes that may be asked for at most; may change
   * @param random uniform in [0, 1)
   */
  constructor(
    private readonly least: number,
    private readonly most: () => number,
    private readonly random: () => number,
  ) {
    this.#window = 2 * least;
  }

  /** Bytes that may be asked for and not yet come. */
  get window(): number {
    return Math.min(this.#window, this.most());
  }

  /** Milliseconds until what was late so many times is asked for again. */
  of(late: number): number {
    const spread = 1 + this.random() / 4;
    const most = this.#mean === 0 ? 2 * FIRST_MS : Math.max(MOST_MS, 3 * this.#mean);
    return Math.min(most, this.#base * BACKOFF ** late) * spread;
  }

  /** An answer of so many bytes took so many milliseconds. */
  answered(now: number, ms: number, bytes: number): void {
    // RFC 6298, section 2. An answer from the same host may take no time that the clock shows.
    if (this.#mean === 0) {
      this.#mean = Math.max(ms, 0.1);
      this.#deviation = ms / 2;
    } else {
      this.#deviation += (Math.abs(this.#mean - ms) - this.#deviation) / 4;
      this.#mean += (ms - this.#mean) / 8;
    }
    if (ms < QUICK_MS) this.#window = this.window + bytes;
    else if (ms > SLOW_MS) this.#cut(now);
  }

  /** An answer did not come in time. */
  late(now: number): void {
    this.#cut(now);
  }

  get #base(): number {
    return this.#mean === 0 ? FIRST_MS : SPARE_MS + this.#mean + 4 * this.#deviation;
  }

  /** Halves the window, once for all that was under way. */
  #cut(now: number): void {
    if (now - this.#cutAt < this.#base) return;
    this.#cutAt = now;
    this.#window = Math.max(this.least, this.window / 2);
  }
}
