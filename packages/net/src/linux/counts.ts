import type { SendCounts } from '../datagrams.js';
import { errorName } from './errno.js';
import { NAME_SIZE } from './layout.js';

/** Error numbers are below this (errno(3), <asm-generic/errno.h>: the last is 133). */
const ERRORS = 256;
const DATAGRAMS = ERRORS;
const BYTES = ERRORS + 1;
const DROPPED = ERRORS + 2;
const EMPTY = ERRORS + 3;
const REFUSED = ERRORS + 4;
const UNTERMINATED = ERRORS + 5;
const ENTRIES = ERRORS + 6;
const RETURNED = ERRORS + 7;
const EMPTY_FROM = RETURNED + ERRORS;
const VALUES = EMPTY_FROM + Math.ceil(NAME_SIZE / 8);

/** Counters that one thread writes and others read; doubles are exact up to 2^53. */
export class SharedCounts {
  readonly #values: Float64Array;
  /** The socket address of the last empty datagram's sender. */
  readonly #emptyFrom: Uint32Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(8 * VALUES)) {
    this.#values = new Float64Array(buffer);
    this.#emptyFrom = new Uint32Array(buffer, 8 * EMPTY_FROM, NAME_SIZE / 4);
  }

  moved(datagrams: number, bytes: number): void {
    this.#values[DATAGRAMS]! += datagrams;
    this.#values[BYTES]! += bytes;
  }

  received(entries: number, datagrams: number, bytes: number): void {
    this.#values[ENTRIES]! += entries;
    this.#values[DATAGRAMS]! += datagrams;
    this.#values[BYTES]! += bytes;
  }

  /** Entries received by recvmmsg(2): what a socket costs its thread, as an aggregate costs little more than one. */
  get entries(): number {
    return this.#values[ENTRIES]!;
  }

  /** Counts empty datagrams, {@link moved} as well; the last one's sender is at word `at` of `names`. */
  emptied(datagrams: number, names: Uint32Array, at: number): void {
    this.#values[EMPTY]! += datagrams;
    for (let i = 0; i < this.#emptyFrom.length; i++) this.#emptyFrom[i] = names[at + i]!;
  }

  get empty(): number {
    return this.#values[EMPTY]!;
  }

  /** The last empty datagram's sender; undefined: none. A concurrent write may mix two addresses. */
  get emptyFrom(): Buffer | undefined {
    return this.empty > 0 ? Buffer.from(new Uint8Array(this.buffer, 8 * EMPTY_FROM, NAME_SIZE)) : undefined;
  }

  failed(errno: number, datagrams: number): void {
    this.#values[errno]! += datagrams;
  }

  /** Counts an error that the network returned for a sent datagram. */
  returned(errno: number): void {
    this.#values[RETURNED + errno]! += 1;
  }

  /** The errors that the network returned, with their counts. */
  returns(): [errno: number, count: number][] {
    return [...this.#values.subarray(RETURNED, EMPTY_FROM)]
      .map((count, errno): [number, number] => [errno, count])
      .filter(([, count]) => count > 0);
  }

  /** Number of datagrams lost to these errors. */
  failures(errnos: readonly number[]): number {
    return errnos.reduce((sum, errno) => sum + this.#values[errno]!, 0);
  }

  get datagrams(): number {
    return this.#values[DATAGRAMS]!;
  }

  get bytes(): number {
    return this.#values[BYTES]!;
  }

  get dropped(): number {
    return this.#values[DROPPED]!;
  }

  set dropped(datagrams: number) {
    this.#values[DROPPED] = datagrams;
  }

  /** Whether a received datagram did not end with a newline. */
  get unterminated(): boolean {
    return this.#values[UNTERMINATED] === 1;
  }

  sawUnterminated(): void {
    this.#values[UNTERMINATED] = 1;
  }

  /** Datagrams dropped because their sender is not allowed. */
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
