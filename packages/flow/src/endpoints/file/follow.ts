import { type Stats, statSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type MproxyError, reason, showCount, throwInternal } from 'mproxy-base';
import type { Program } from '../../program.js';
import { FileInput } from './file-input.js';
import { FollowedFile } from './followed-file.js';
import { BREAK, type Input } from './input.js';
import { openInput } from './open-input.js';
import { DeviceGone, isGone } from './terminal-input.js';

/** How often a file that is at its end is looked at, where the system does not tell of its changes. */
const POLL_MS = 100;
/** How long a file is read before signals and timers get their turn. */
const TURN_MS = 1;

/**
 * Follows a path as `tail -F` does: waits for a file that does not exist yet, goes on from the start of one that was
 * truncated, reads a renamed one to its end before the new one of its name, and opens a FIFO again. Ends only when
 * stopped.
 */
export class FollowedInput implements Input {
  #stopped = false;
  #current: Input | undefined;
  #complained = '';
  /** The file changed since it was read. */
  #changed = false;
  #wake: () => void = () => undefined;

  constructor(
    private readonly path: string,
    /** Begin at the end of a file that is there already. */
    private readonly fromEnd: boolean,
    private readonly program: Pick<Program, 'notice' | 'loss' | 'engine'>,
    /** The speed of a serial device; default as it is set. */
    private readonly baud?: number,
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
      if (input instanceof FileInput && input.stat.isFile())
        yield* this.#follow(input, first && this.fromEnd);
      else yield* this.#stream(input);
      first = false;
      if (!this.#stopped) yield BREAK;
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#current?.stop();
    this.#wake();
  }

  /** A FIFO until its writers closed it, or a device until it is gone. */
  async *#stream(input: Input): AsyncGenerator<Buffer | typeof BREAK> {
    let delivered = false;
    try {
      for await (const chunk of input.chunks()) {
        delivered = true;
        yield chunk;
      }
    } catch (error) {
      if (!isGone(error) || !input.stat?.isCharacterDevice()) throw error;
      this.#waitsFor(new DeviceGone());
      delivered = false;
    }
    // One that is at its end as soon as it is opened, as /dev/null is, must not keep the program busy.
    if (!delivered) await this.#pause();
  }

  /** One file, until another has taken its name. */
  async *#follow({ fd, stat }: FileInput, fromEnd: boolean): AsyncGenerator<Buffer | typeof BREAK> {
    const file = new FollowedFile(fd, stat, this.path, () => this.#hasChanged());
    try {
      if (fromEnd) file.skipToEnd();
      while (!this.#stopped) {
        // Looked at before it is read: what was written before another took its name is read to its end.
        const now = this.#look();
        const replaced = now !== undefined && (now.ino !== stat.ino || now.dev !== stat.dev);
        yield* this.#available(file);
        if (replaced) return this.program.notice(`following: ${this.path}: a new file has its name`);
        await this.#pause();
      }
    } finally {
      await file.close();
    }
  }

  /** What there is to be read now. */
  async *#available(file: FollowedFile): AsyncGenerator<Buffer | typeof BREAK> {
    let turn = performance.now();
    while (!this.#stopped) {
      const chunk = file.next();
      if (chunk?.length === 0) return;
      if (chunk) yield chunk;
      else {
        this.#truncated(file.unread);
        file.restart();
        yield BREAK;
      }
      if (performance.now() - turn < TURN_MS) continue;
      await nextTurn();
      turn = performance.now();
    }
  }

  #truncated(unread: number): void {
    const text = `following: ${this.path}: truncated; going on from its start`;
    if (unread === 0) this.program.notice(text);
    else this.program.loss(`${text}; ${showCount(unread, 'byte')} were not read before`);
  }

  #open(): Input | undefined {
    try {
      const { engine } = this.program;
      const input = openInput(this.path, { engine, baud: this.baud });
      this.#complained = '';
      return input;
    } catch (error) {
      if ((error as MproxyError).code === 'MPROXY_USAGE') throw error;
      this.#waitsFor((error as Error).cause ?? error);
      return undefined;
    }
  }

  #waitsFor(error: unknown): void {
    const why = reason(error);
    if (this.#complained !== why) this.program.notice(`following: ${this.path}: ${why}; waiting for it`);
    this.#complained = why;
  }

  #look(): Stats | undefined {
    try {
      return statSync(this.path, { throwIfNoEntry: false });
    } catch (error) {
      throwInternal(error);
      // A directory on the way that cannot be passed for now: the file that is open is read on.
      return undefined;
    }
  }

  #hasChanged(): void {
    this.#changed = true;
    this.#wake();
  }

  async #pause(): Promise<void> {
    if (!this.#changed && !this.#stopped) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, POLL_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#changed = false;
  }
}
