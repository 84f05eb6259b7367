/** Lets any number of callers wait for a state that is reached in steps. */
export class Progress {
  /** All callers share one promise. */
  #step: Promise<void> | undefined;
  #resolve: () => void = () => undefined;

  /** Resolves when the state is reached; undefined when it is. */
  until(isReached: () => boolean): Promise<void> | undefined {
    if (isReached()) return undefined;
    this.#step ??= new Promise<void>((resolve) => {
      this.#resolve = resolve;
    });
    return this.#step.then(() => this.until(isReached));
  }

  /** A step was taken: who waits checks the state again. */
  advance(): void {
    this.#step = undefined;
    this.#resolve();
  }
}
