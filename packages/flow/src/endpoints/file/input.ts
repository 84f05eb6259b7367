import type { Stats } from 'node:fs';

/** Separates the last chunk of a file from the first chunk of its successor. */
export const BREAK = Symbol('break');

/** Space before a block for the rest of the previous one: less than a datagram. */
export const HEADROOM = 64 * 1024;

/** An open input. Blocking reads stay out of the thread pool: they could not be cancelled there. */
export interface Input {
  /** Absent for stdin, unless it is a pipe. */
  stat?: Stats;
  /** Bytes before each chunk that the consumer may overwrite; default 0. */
  headroom?: number;
  /** Whether the memory of a chunk is reused after the next one; otherwise its bytes never change. */
  lends?: boolean;
  /** Ends at the end of the input, or when stopped. */
  chunks(): AsyncIterable<Buffer | typeof BREAK>;
  stop(): void;
}
