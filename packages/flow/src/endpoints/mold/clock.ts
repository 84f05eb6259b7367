/**
 * Milliseconds that this program ran. While it was stopped, or held up, nobody was silent, and no answer late: what
 * came meanwhile is still to be read.
 */
export class RunningClock {
  #lookedAt = performance.now();
  #stalled = 0;

  /** @param most whoever looks at it looks more often than that, ms */
  constructor(private readonly most: number) {}

  now(): number {
    const now = performance.now();
    if (now - this.#lookedAt > this.most) this.#stalled += now - this.#lookedAt;
    this.#lookedAt = now;
    return now - this.#stalled;
  }
}
