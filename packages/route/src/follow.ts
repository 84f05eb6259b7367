import { type Stats, statSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { reason } from './errors.js';
import { BREAK, FileInput, type Input, openInput } from './input.js';

/** How often a file that is at its end is looked at. */
const POLL_MS = 100;

/**
 * Follows a path as `tail -F` does: waits for a file that does not exist yet, goes on from the start of one that was
 * truncated, reads a renamed one to its end before the new one of its name, and opens a FIFO again. Ends only when
 * stopped.
 */
export class FollowedInput implements Input {
  readonly #stopping = new AbortController();
  #current: Input | undefined;
  #complained = '';

  constructor(
    private readonly path: string,
    /** Begin at the end of a file that is there already. */
    private readonly fromEnd: boolean,
    private readonly notice: (text: string) => void,
  ) {}

  async *chunks(): AsyncGenerator<Buffer | typeof BREAK> {
    let first = true;
    while (!this.#stopped) {
      const input = this.#open();
      if (!input) {
        first = false;
        await this.#pause();
        continue;
      }
      this.#current = input;
      if (!(input instanceof FileInput)) yield* input.chunks();
      else yield* this.#file(input, first && this.fromEnd);
      first = false;
      if (!this.#stopped) yield BREAK;
    }
  }

  stop(): void {
    this.#stopping.abort();
    this.#current?.stop();
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** One file, until another has taken its name. */
  async *#file(file: FileInput, fromEnd: boolean): AsyncGenerator<Buffer | typeof BREAK> {
    if (fromEnd) file.position = file.stat.size;
    try {
      while (!this.#stopped) {
        // Looked at before it is read: what was written before another took its name is read to its end.
        const now = this.#look();
        const replaced = now !== undefined && (now.ino !== file.stat.ino || now.dev !== file.stat.dev);
        if (now && !replaced && now.size < file.position) {
          this.notice(`following: ${this.path}: truncated; going on from its start`);
          file.position = 0;
          yield BREAK;
        }
        for (let chunk = await file.next(); chunk.length > 0; chunk = await file.next()) yield chunk;
        if (replaced) return this.notice(`following: ${this.path}: a new file has its name`);
        await this.#pause();
      }
    } finally {
      await file.close();
    }
  }

  #open(): Input | undefined {
    try {
      const input = openInput(this.path);
      this.#complained = '';
      return input;
    } catch (error) {
      const why = reason((error as Error).cause ?? error);
      if (this.#complained !== why) this.notice(`following: ${this.path}: ${why}; waiting for it`);
      this.#complained = why;
      return undefined;
    }
  }

  #look(): Stats | undefined {
    try {
      return statSync(this.path, { throwIfNoEntry: false });
    } catch {
      // A directory on the way that cannot be passed for now: the file that is open is read on.
      return undefined;
    }
  }

  async #pause(): Promise<void> {
    await wait(POLL_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}
