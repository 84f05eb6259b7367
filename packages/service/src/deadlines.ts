import { type Listed, Roster } from 'mproxy-base';
import type { Streams } from 'mproxy-net';
import { chooseEngine } from 'mproxy-net/engine';

/** Time between two looks, in milliseconds: a deadline is noticed at most so much late. */
const TICK_MS = 100;

/** What has a deadline, or will have one. */
export interface Dated extends Listed {
  /** By {@link Deadlines.now}; infinite: none. */
  dueAt: number;
  /** Called in each look at which the deadline is past: whoever is not done with it moves it. */
  onDue(): void;
}

/**
 * The deadlines of many connections. To set one is to write a number; one ticking timer looks at all of them, 10,000 in less than a
 * millisecond. Nothing ticks while there are none.
 *
 * Time in which the thread did not run (a long computation, a suspended machine) counts for nobody: what peers sent meanwhile was not
 * read.
 */
export class Deadlines {
  /** The time of the last look, in milliseconds of a clock that never goes back. */
  now = performance.now();
  readonly #all = new Roster<Dated>();
  readonly #timer;

  constructor(streams: Pick<Streams, 'timer'>) {
    this.#timer = streams.timer(() => this.#look());
  }

  /** Looks at it from now on, until {@link delete}. */
  add(one: Dated): void {
    if (this.#all.size === 0) {
      this.now = performance.now();
      this.#timer.set(TICK_MS);
    }
    this.#all.add(one);
  }

  delete(one: Dated): void {
    this.#all.delete(one);
    if (this.#all.size === 0) this.#timer.clear();
  }

  #look(): void {
    const now = performance.now();
    const late = now - this.now - 2 * TICK_MS;
    this.now = now;
    this.#timer.set(TICK_MS);
    this.#all.each((one) => {
      if (late > 0) one.dueAt += late;
      if (one.dueAt <= now) one.onDue();
    });
  }
}

let shared: Deadlines | undefined;

/** Those of this thread, on the engine that `auto` selects. */
export function sharedDeadlines(): Deadlines {
  shared ??= new Deadlines(chooseEngine('auto').engine.streams);
  return shared;
}
