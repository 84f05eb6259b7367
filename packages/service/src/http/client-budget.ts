/** Retries for each request, on average, and how many are granted without requests before them. */
const SHARE = 0.2;
const BURST = 10;

/** Limits retries to 20 % of the requests: an upstream that fails must not get twice the load for that. */
export class RetryBudget {
  #left = BURST;

  /** A request came. */
  request(): void {
    if (this.#left < BURST) this.#left += SHARE;
  }

  /** @returns whether a retry is granted */
  take(): boolean {
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
