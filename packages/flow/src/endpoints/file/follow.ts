import { type Stats, statSync } from 'node:fs';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { type MproxyError, reason, throwInternal } from 'mproxy-base';
import type { Program } from '../../program.js';
import { FILE_AWAITED, FILE_REPLACED, FILE_TRUNCATED, UNREAD_TRUNCATED } from './events.js';
import { FileInput } from './file-input.js';
import { FollowedFile } from './followed-file.js';
import { BREAK, type Input } from './input.js';
import { openInput } from './open-input.js';
import { DeviceGone, isGone } from './terminal-input.js';

/** Interval for polling at the end of the file, in case no change is reported. */
const POLL_MS = 100;
/** Time spent reading before yielding to the event loop. */
const YIELD_MS = 1;

/**
 * Follows a path like `tail -F`: waits for a missing file, restarts a truncated file from its start, reads a
 * renamed file to its end before its successor, and reopens a FIFO. Ends only when stopped.
 */
export class FollowedInput implements Input {
  #stopped = false;
  #current: Input | undefined;
  #lastReason = '';
  #changed = false;
  #wake: () => void = () => undefined;

  constructor(
    private readonly path: string,
    /** Skip the content of a file that exists at the start. */
    private readonly fromEnd: boolean,
    private readonly program: Pick<Program, 'emit' | 'engine'>,
    /** Speed of a serial device, in baud; default its present speed. */
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

  /** Reads a FIFO until its writers close it, or a device until it disappears. */
  async *#stream(input: Input): AsyncGenerator<Buffer | typeof BREAK> {
    let delivered = false;
    try {
      for await (const chunk of input.chunks()) {
        delivered = true;
        yield chunk;
      }
    } catch (error) {
      if (!isGone(error) || !input.stat?.isCharacterDevice()) throw error;
      this.#noticeWaiting(new DeviceGone());
      delivered = false;
    }
    // An input at its end when opened, such as /dev/null, must not cause a busy loop.
    if (!delivered) await this.#pause();
  }

  /** Reads one file until another has its name. */
  async *#follow({ fd, stat }: FileInput, fromEnd: boolean): AsyncGenerator<Buffer | typeof BREAK> {
    const file = new FollowedFile(fd, stat, this.path, () => this.#onChange());
    try {
      if (fromEnd) file.skipToEnd();
      while (!this.#stopped) {
        // The path is checked before reading, so that all bytes written before the replacement are read.
        const latest = this.#statPath();
        const replaced = latest !== undefined && (latest.ino !== stat.ino || latest.dev !== stat.dev);
        yield* this.#available(file);
        if (replaced) return this.program.emit(FILE_REPLACED, { file: this.path });
        await this.#pause();
      }
    } finally {
      await file.close();
    }
  }

  async *#available(file: FollowedFile): AsyncGenerator<Buffer | typeof BREAK> {
    let lastYield = performance.now();
    while (!this.#stopped) {
      const chunk = file.next();
      if (chunk?.length === 0) return;
      if (chunk) yield chunk;
      else {
        this.#truncated(file.unread);
        file.restart();
        yield BREAK;
      }
      if (performance.now() - lastYield < YIELD_MS) continue;
      await yieldToLoop();
      lastYield = performance.now();
    }
  }

  #truncated(unread: number): void {
    if (unread === 0) this.program.emit(FILE_TRUNCATED, { file: this.path });
    else this.program.emit(UNREAD_TRUNCATED, { file: this.path, unread });
  }

  #open(): Input | undefined {
    try {
      const { engine } = this.program;
      const input = openInput(this.path, { engine, baud: this.baud });
      this.#lastReason = '';
      return input;
    } catch (error) {
      if ((error as MproxyError).code === 'MPROXY_USAGE') throw error;
      this.#noticeWaiting((error as Error).cause ?? error);
      return undefined;
    }
  }

  #noticeWaiting(error: unknown): void {
    const why = reason(error);
    if (this.#lastReason !== why) this.program.emit(FILE_AWAITED, { file: this.path, reason: why });
    this.#lastReason = why;
  }

  #statPath(): Stats | undefined {
    try {
      return statSync(this.path, { throwIfNoEntry: false });
    } catch (error) {
      throwInternal(error);
      // A parent directory is not accessible at present: reading the open file continues.
      return undefined;
    }
  }

  #onChange(): void {
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
