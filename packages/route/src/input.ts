import { close, closeSync, constants, fstatSync, openSync, read, readSync, type Stats } from 'node:fs';
import { Socket } from 'node:net';
import { setImmediate, setTimeout as wait } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';
import type { Engine } from 'mproxy-udp';
import { failure, MproxyError, usage } from './errors.js';
import { TerminalInput } from './terminal-input.js';

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

export interface InputOptions {
  /** Sets a terminal raw. */
  engine: Pick<Engine, 'makeRaw'>;
  /** The speed of a serial device; default as it is set. */
  baud?: number | undefined;
  /** Whether blocks of a file may be filled again, where their takers are done with them at once; default false. */
  lends?: boolean;
}

/**
 * Opens a file, FIFO, terminal, device, or `-` for stdin.
 * @throws MPROXY_FILE; MPROXY_USAGE where a speed is given for what has none
 */
export function openInput(path: string, { engine, baud, lends = false }: InputOptions): Input {
  let fd: number | undefined;
  try {
    // A stdin that was closed by whoever started the program is found out here.
    if (path === '-') return streamInput(process.stdin);
    // Without O_NONBLOCK a FIFO's open waits for its writer (fifo(7)).
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
    if (isatty(fd)) return new TerminalInput(fd, stat, engine.makeRaw(fd, baud));
    if (baud !== undefined) throw usage('--baud', path, 'not a serial device or terminal: it has no speed');
    if (stat.isFIFO()) return streamInput(new Socket({ fd, readable: true, writable: false }), stat);
    return new FileInput(fd, stat, lends);
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    if (error instanceof MproxyError) throw error;
    throw failure('MPROXY_FILE', 'opening', path, error);
  }
}

function streamInput(stream: NodeJS.ReadStream | Socket, stat?: Stats): Input {
  let stopped = false;
  return {
    ...(stat && { stat }),
    async *chunks() {
      try {
        for await (const chunk of stream) yield chunk as Buffer;
      } catch (error) {
        if (!stopped) throw error;
      }
    },
    stop() {
      stopped = true;
      stream.destroy();
    },
  };
}

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
