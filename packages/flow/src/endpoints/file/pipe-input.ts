import type { Stats } from 'node:fs';
import { Socket } from 'node:net';
import { HEADROOM, type Input } from './input.js';

/** Bytes per read: a pipe holds no more, unless its size was raised (pipe(7)). */
const BLOCK = 64 * 1024;

/** Reads a pipe or a stream socket into two alternating blocks, which are reused. */
export class PipeInput implements Input {
  readonly headroom = HEADROOM;
  readonly lends = true;
  readonly #blocks = [HEADROOM + BLOCK, HEADROOM + BLOCK].map((size) => Buffer.allocUnsafeSlow(size));
  readonly #socket: Socket;
  /** What was read and not taken: at most a block, as reading pauses after each. */
  #chunk: Buffer | undefined;
  #ended = false;
  #stopped = false;
  #error: Error | undefined;
  #wake: () => void = () => undefined;

  /**
   * @param fd closed with this input
   * @throws if it is neither a pipe nor a stream socket
   */
  constructor(
    fd: number,
    readonly stat: Stats,
  ) {
    const onread = { buffer: () => this.#nextBlock(), callback: (length: number) => this.#read(length) };
    // A variable, as the types know `onread` of connect() alone.
    const options = { fd, readable: true, writable: false, onread };
    this.#socket = new Socket(options);
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('end', () => this.#end());
    this.#socket.on('close', () => this.#end());
  }

  async *chunks(): AsyncGenerator<Buffer> {
    for (let chunk = await this.#next(); chunk; chunk = await this.#next()) yield chunk;
    this.#socket.destroy();
    if (this.#error && !this.#stopped) throw this.#error;
  }

  stop(): void {
    this.#stopped = true;
    this.#socket.destroy();
  }

  /** @returns undefined at the end */
  async #next(): Promise<Buffer | undefined> {
    if (!this.#chunk && !this.#ended) {
      const arrived = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#socket.resume();
      await arrived;
    }
    const chunk = this.#chunk;
    this.#chunk = undefined;
    return this.#stopped ? undefined : chunk;
  }

  #nextBlock(): Buffer {
    this.#blocks.reverse();
    return this.#blocks[0]!.subarray(HEADROOM);
  }

  /** @returns false: nothing more is read until this is taken, and the pipe fills meanwhile */
  #read(length: number): boolean {
    this.#chunk = this.#blocks[0]!.subarray(HEADROOM, HEADROOM + length);
    this.#wake();
    return false;
  }

  #end(error?: Error): void {
    this.#error ??= error;
    this.#ended = true;
    this.#wake();
  }
}
