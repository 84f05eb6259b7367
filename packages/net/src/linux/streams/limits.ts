import type { Loop } from '../loop.js';
import { Timer } from '../timer-wheel.js';

/** Tells of a time in which a count did not change, again and again. Activity reads the clock, and sets no timer. */
export class IdleLimit {
  #ms = 0;
  #seen = -1;
  #changedAt = 0;
  readonly #timer = new Timer(() => this.#due());

  constructor(
    private readonly loop: Loop,
    private readonly count: () => number,
    private readonly onIdle: () => void,
  ) {}

  /** @param ms 0: never */
  set(ms: number): void {
    this.#ms = ms;
    this.#changedAt = performance.now();
    if (ms > 0) this.loop.setTimer(this.#timer, ms);
    else this.loop.clearTimer(this.#timer);
  }

  /** To be called after the count may have changed. */
  look(): void {
    const count = this.count();
    if (count === this.#seen) return;
    this.#seen = count;
    this.#changedAt = performance.now();
  }

  #due(): void {
    const left = this.#changedAt + this.#ms - performance.now();
    if (left > 0) this.loop.setTimer(this.#timer, left);
    else {
      this.set(this.#ms);
      this.onIdle();
    }
  }
}

/** A limit in time, of which the earliest counts. */
export class Deadline {
  #at = Number.POSITIVE_INFINITY;
  readonly #timer: Timer;

  constructor(
    private readonly loop: Loop,
    onDue: () => void,
  ) {
    this.#timer = new Timer(onDue);
  }

  /** In milliseconds from now. */
  within(ms: number): void {
    const at = performance.now() + ms;
    if (at >= this.#at) return;
    this.#at = at;
    this.loop.setTimer(this.#timer, ms);
  }

  clear(): void {
    this.loop.clearTimer(this.#timer);
  }
}
