import { close, read, readSync, type Stats } from 'node:fs';
import { setImmediate, setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { HEADROOM, type Input } from './input.js';

/** Bytes per read: with copies of them in sinks they fit the second-level cache of a processor. */
const BLOCK = 256 * 1024;
/** Time spent reading before yielding to the event loop. */
const YIELD_MS = 1;
/** Retry after EAGAIN from a device. */
const EAGAIN_RETRY_MS = 10;

const readInto = promisify(read);
const closeFile = promisify(close);

/** Reads a regular file or device in blocks, a file from its start. */
export class FileInput implements Input {
  /** Offset of the next read; meaningless for a device. */
  position = 0;
  readonly headroom = HEADROOM;
  #stopped = false;
  #reading: Promise<unknown> = Promise.resolve();
  /** Last return to the event loop, by `performance.now()`. */
  #lastYield = 0;
  /** Two alternating blocks, if lent: the rest of one is copied before the next. */
  readonly #blocks: Buffer[] = [];

  constructor(
    readonly fd: number,
    readonly stat: Stats,
    readonly lends = false,
  ) {}

  async *chunks(): AsyncGenerator<Buffer> {
    while (!this.#stopped) {
      const chunk = await this.next();
      if (chunk.length === 0) break;
      yield chunk;
    }
    await this.close();
  }

  /** The next block; empty at the end of the file. */
  async next(): Promise<Buffer> {
    const block = this.#block();
    while (!this.#stopped) {
      try {
        const bytesRead = await this.#read(block);
        this.position += bytesRead;
        return block.subarray(0, bytesRead);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
        await wait(EAGAIN_RETRY_MS);
      }
    }
    return block.subarray(0, 0);
  }

  /** A regular file is always ready (poll(2)), and using the thread pool costs as much as the read. */
  async #read(block: Buffer): Promise<number> {
    if (this.stat.isFile()) {
      if (performance.now() - this.#lastYield > YIELD_MS) {
        await setImmediate();
        this.#lastYield = performance.now();
      }
      return this.#stopped ? 0 : readSync(this.fd, block, 0, block.length, this.position);
    }
    const reading = readInto(this.fd, block, 0, block.length, null);
    this.#reading = reading;
    return (await reading).bytesRead;
  }

  #block(): Buffer {
    const block =
      (this.#blocks.length === 2 && this.#blocks.shift()) || Buffer.allocUnsafeSlow(HEADROOM + BLOCK);
    if (this.lends) this.#blocks.push(block);
    return block.subarray(HEADROOM);
  }

  stop(): void {
    this.#stopped = true;
  }

  async close(): Promise<void> {
    await this.#reading.catch(() => undefined);
    await closeFile(this.fd);
  }
}
