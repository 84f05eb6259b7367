import { close, read, readSync, type Stats } from 'node:fs';
import { setImmediate, setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Input } from './input.js';

/** Bytes read at once: much into a block that is filled again, less into one that is left to its taker. */
const LENT_BLOCK = 1024 * 1024;
const OWN_BLOCK = 256 * 1024;
/** Room for what is left over of the block before: less than a datagram. */
const HEADROOM = 64 * 1024;
/** How long a file is read before signals and timers get their turn. */
const TURN_MS = 1;
/** A device that has nothing now (EAGAIN) is asked again soon. */
const BUSY_MS = 10;

const readInto = promisify(read);
const closeFile = promisify(close);

/** A regular file or a device, read block by block from where it stands. */
export class FileInput implements Input {
  /** Where the next read begins in a regular file; a device has no places. */
  position = 0;
  readonly headroom = HEADROOM;
  #stopped = false;
  #reading: Promise<unknown> = Promise.resolve();
  /** When the event loop last had its turn, by `performance.now()`. */
  #turn = 0;
  /** The two blocks that take turns, where they are lent: what is left over of one is put before the next. */
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
        await wait(BUSY_MS);
      }
    }
    return block.subarray(0, 0);
  }

  /** A regular file is always ready (poll(2)): a hop to the thread pool and back costs as much as reading it. */
  async #read(block: Buffer): Promise<number> {
    if (this.stat.isFile()) {
      if (performance.now() - this.#turn > TURN_MS) {
        await setImmediate();
        this.#turn = performance.now();
      }
      return this.#stopped ? 0 : readSync(this.fd, block, 0, block.length, this.position);
    }
    const reading = readInto(this.fd, block, 0, block.length, null);
    this.#reading = reading;
    return (await reading).bytesRead;
  }

  #block(): Buffer {
    const size = HEADROOM + (this.lends ? LENT_BLOCK : OWN_BLOCK);
    const block = (this.#blocks.length === 2 && this.#blocks.shift()) || Buffer.allocUnsafeSlow(size);
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
