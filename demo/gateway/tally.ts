/** What the clients of a route asked for, and got. */
export class Tally {
  /** Requests, as the gateway should count them. */
  requests = 0;
  /** Answers: responses, or messages and events of a stream. */
  right = 0;
  wrong = 0;
  /** Of bodies and messages, in both directions. */
  bytes = 0;
  /** What was wrong first. */
  problem: string | undefined;
  #ms = 0;

  /** Mean time to an answer, in milliseconds. */
  get mean(): number | undefined {
    return this.right === 0 ? undefined : this.#ms / this.right;
  }

  /**
   * Counts an answer.
   * @param began when it was asked for (performance.now)
   * @param problem what is wrong with it
   */
  answer(began: number, bytes: number, problem?: string): void {
    this.bytes += bytes;
    if (problem === undefined) {
      this.right++;
      this.#ms += performance.now() - began;
    } else this.fail(problem);
  }

  fail(problem: string): void {
    this.wrong++;
    this.problem ??= problem;
  }
}
