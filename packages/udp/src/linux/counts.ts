import type { SendCounts } from '../contract.js';
import { errorName } from './errno.js';

/** Error numbers are below this (errno(3), <asm-generic/errno.h>: the last is 133). */
const ERRORS = 256;
const DATAGRAMS = ERRORS;
const BYTES = ERRORS + 1;
const DROPPED = ERRORS + 2;
const REFUSED = ERRORS + 3;
const RETURNED = ERRORS + 4;

/** Counters that one thread writes and others read; doubles count exactly to 2^53. */
export class SharedCounts {
  readonly #values: Float64Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(8 * (RETURNED + ERRORS))) {
    this.#values = new Float64Array(buffer);
  }

  moved(datagrams: number, bytes: number): void {
    this.#values[DATAGRAMS]! += datagrams;
    this.#values[BYTES]! += bytes;
  }

  failed(errno: number, datagrams: number): void {
    this.#values[errno]! += datagrams;
  }

  /** The network returned an error for a datagram that was sent. */
  returned(errno: number): void {
    this.#values[RETURNED + errno]! += 1;
  }

  /** The errors that the network returned, and how many of each. */
  returns(): [errno: number, count: number][] {
    return [...this.#values.subarray(RETURNED)]
      .map((count, errno): [number, number] => [errno, count])
      .filter(([, count]) => count > 0);
  }

  /** How many datagrams these errors cost. */
  failures(errnos: readonly number[]): number {
    return errnos.reduce((sum, errno) => sum + this.#values[errno]!, 0);
  }

  get dropped(): number {
    return this.#values[DROPPED]!;
  }

  set dropped(datagrams: number) {
    this.#values[DROPPED] = datagrams;
  }

  /** Datagrams whose sender is not allowed. */
  get refused(): number {
    return this.#values[REFUSED]!;
  }

  set refused(datagrams: number) {
    this.#values[REFUSED] = datagrams;
  }

  read(): SendCounts {
    const errors: Record<string, number> = {};
    for (let errno = 0; errno < ERRORS; errno++) {
      const count = this.#values[errno]!;
      if (count > 0) errors[errorName(errno)] = count;
    }
    const [datagrams = 0, bytes = 0, dropped = 0] = this.#values.subarray(DATAGRAMS);
    return { datagrams, bytes, dropped, errors, returned: {} };
  }
}
