/** A clock in milliseconds that excludes stalls of this process: packets received meanwhile are unread. */
export class RunningClock {
  #calledAt = performance.now();
  #stalled = 0;

  /** @param maxInterval a longer interval between two calls of now() is a stall, in milliseconds */
  constructor(private readonly maxInterval: number) {}

  now(): number {
    const now = performance.now();
    if (now - this.#calledAt > this.maxInterval) this.#stalled += now - this.#calledAt;
    this.#calledAt = now;
    return now - this.#stalled;
  }
}
