import type { Stats } from 'node:fs';

/** Stands between the last chunk of a file and the first of the one that takes its place. */
export const BREAK = Symbol('break');

/** What a path names, open to be read. Nothing here waits in the thread pool, which could not be left. */
export interface Input {
  /** What is known of it; nothing of stdin. */
  stat?: Stats;
  /** Memory before each chunk that its taker may overwrite, in bytes; 0 by default. */
  headroom?: number;
  /** Whether a chunk is filled again after the next one; else its bytes do not change any more. */
  lends?: boolean;
  /** Chunks to the end. Ends early when stopped. */
  chunks(): AsyncIterable<Buffer | typeof BREAK>;
  stop(): void;
}
