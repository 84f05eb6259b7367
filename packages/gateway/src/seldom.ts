/** Lets something happen once in a while. */
export class Seldom {
  #at = Number.NEGATIVE_INFINITY;

  /** @param ms the time between two, at least, in milliseconds */
  constructor(private readonly ms: number) {}

  /** Whether it may happen now; then it is taken to. */
  takes(): boolean {
    const now = performance.now();
    if (now - this.#at < this.ms) return false;
    this.#at = now;
    return true;
  }
}
