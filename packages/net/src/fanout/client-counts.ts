const DATAGRAMS = 0;
const BYTES = 1;
const DROPPED = 2;
const NOW = 3;
const EVER = 4;
const TIMED_OUT = 5;
const VALUES = 6;

/** Counters of a fan-out, which one thread writes and others read; doubles are exact up to 2^53. */
export class ClientCounts {
  readonly #values: Float64Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(8 * VALUES)) {
    this.#values = new Float64Array(buffer);
  }

  /** Counts a chunk: the queues of some clients took it, those of others had no room. */
  passed(datagrams: number, bytes: number, taken: number, dropped: number): void {
    this.#values[DATAGRAMS]! += taken * datagrams;
    this.#values[BYTES]! += taken * bytes;
    this.#values[DROPPED]! += dropped * datagrams;
  }

  /** Counts what a queue had taken, and its client had not. */
  dropped(datagrams: number): void {
    this.#values[DROPPED]! += datagrams;
  }

  joined(): void {
    this.#values[NOW]!++;
    this.#values[EVER]!++;
  }

  left(clients = 1): void {
    this.#values[NOW]! -= clients;
  }

  timedOut(): void {
    this.#values[TIMED_OUT]!++;
  }

  read(): {
    datagrams: number;
    bytes: number;
    dropped: number;
    timedOut: number;
    clients: { now: number; ever: number };
  } {
    const [datagrams = 0, bytes = 0, dropped = 0, now = 0, ever = 0, timedOut = 0] = this.#values;
    return { datagrams, bytes, dropped, timedOut, clients: { now, ever } };
  }
}
