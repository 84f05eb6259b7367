import { randomInt } from 'node:crypto';
import type { ClientCounts } from 'mproxy-service/client-limit';

/** Cells of a row. A client has one cell of each row. */
const CELLS = 2 ** 16;
const ROWS = 4;

/** Memory of the counts, and what hashes begin with, so that nobody can choose an address that shares the cells of another. */
export interface ClientMemory {
  cells: SharedArrayBuffer;
  seed: number;
}

/** @param workers each has cells of its own: when it dies its successor clears them */
export function clientMemory(workers: number): ClientMemory {
  const bytes = workers * ROWS * CELLS * Int32Array.BYTES_PER_ELEMENT;
  return { cells: new SharedArrayBuffer(bytes), seed: randomInt(2 ** 31) };
}

/**
 * The connections of each client over all workers, in memory of a fixed size: a count-min sketch. A count is too high only if other clients
 * share the cell of a client in all rows: with 10,000 connections of as many clients that is so for one in two thousand.
 */
export class SharedClientCounts implements ClientCounts {
  readonly #own: Int32Array;
  readonly #all: Int32Array[];

  /** @param number of the worker */
  constructor(
    private readonly memory: ClientMemory,
    number: number,
  ) {
    const length = ROWS * CELLS;
    const workers = memory.cells.byteLength / (length * Int32Array.BYTES_PER_ELEMENT);
    this.#all = Array.from({ length: workers }, (_, i) => {
      return new Int32Array(memory.cells, i * length * Int32Array.BYTES_PER_ELEMENT, length);
    });
    this.#own = this.#all[number]!;
    this.#own.fill(0);
  }

  add(client: string): number {
    const cells = this.#cellsOf(client);
    for (const cell of cells) Atomics.add(this.#own, cell, 1);
    return Math.min(...cells.map((cell) => this.#sum(cell)));
  }

  remove(client: string): void {
    for (const cell of this.#cellsOf(client)) Atomics.sub(this.#own, cell, 1);
  }

  #sum(cell: number): number {
    return this.#all.reduce((sum, counts) => sum + Atomics.load(counts, cell), 0);
  }

  #cellsOf(client: string): number[] {
    return Array.from({ length: ROWS }, (_, row) => {
      // FNV-1a, with an avalanche step after it.
      let hash = Math.imul(this.memory.seed + row, 0x9e3779b1);
      for (let i = 0; i < client.length; i++) hash = Math.imul(hash ^ client.charCodeAt(i), 0x01000193);
      hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
      return row * CELLS + (((hash ^ (hash >>> 13)) >>> 0) % CELLS);
    });
  }
}
