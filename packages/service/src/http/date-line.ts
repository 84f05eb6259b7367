import { dateLine } from 'mproxy-http/date';
import type { Deadlines } from '../deadlines.js';

/** The line `Date: ...` of responses. The clock is read when that of deadlines has gone on. */
export class DateLine {
  #line: Uint8Array = dateLine(Date.now());
  #at: number;

  constructor(private readonly deadlines: Pick<Deadlines, 'now'>) {
    this.#at = deadlines.now;
  }

  get now(): Uint8Array {
    const { now } = this.deadlines;
    if (now !== this.#at) {
      this.#at = now;
      this.#line = dateLine(Date.now());
    }
    return this.#line;
  }
}
