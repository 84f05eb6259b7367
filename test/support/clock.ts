import type { Test } from 'tap';

/** Has `performance.now()` stand still until it is told to go on, for the rest of a test. */
export class Clock {
  now = 1_000_000;

  constructor(t: Test) {
    // An own property before the one that `Performance.prototype` has.
    Object.defineProperty(performance, 'now', { configurable: true, value: () => this.now });
    t.teardown(() => Reflect.deleteProperty(performance, 'now'));
  }

  pass(ms: number): void {
    this.now += ms;
  }
}
