import { COPIER } from './copier.wasm.js';

/** What a copy may read or write too far. */
export const SLACK = 32;

const PAGE = 65_536;

/** What copier.wat exports; positions are bytes of its memory, and come back as signed numbers. */
interface Exports {
  pack(read: number, end: number, at: number, limit: number): number;
  head(): number;
  count(): number;
  strip(from: number, count: number, to: number, sizes: number): number;
}

/** As much of WebAssembly's API as is used (webassembly.github.io/spec/js-api); Node's types leave it out. */
declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
  Module: new (code: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: Exports };
};

let compiled: object | undefined;

function compile(): object {
  try {
    return new WebAssembly.Module(Buffer.from(COPIER, 'base64'));
  } catch (error) {
    throw new Error('mold needs a processor with vectors of 16 bytes (x64: SSE 4.1)', { cause: error });
  }
}

function reserve(pages: number): { buffer: ArrayBuffer } {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (error) {
    const size = `${Math.ceil((pages * PAGE) / 2 ** 20)} MiB`;
    const why = `there is no memory of ${size}, or no room for the 10 GiB of addresses that go with it (ulimit -v)`;
    throw new Error(why, { cause: error });
  }
}

/** The copies of copier.wat, in a memory of their own: what they copy must be in there. */
export class Copier {
  readonly memory: Buffer;
  readonly #exports: Exports;

  /**
   * @param bytes of memory at least, {@link SLACK} behind whatever is copied among them
   * @throws an Error where the system does not grant it, or the processor has no vectors. V8 reserves some 10 GiB of
   * addresses each time, so that it need not check any.
   */
  constructor(bytes: number) {
    compiled ??= compile();
    const memory = reserve(Math.ceil(bytes / PAGE));
    this.memory = Buffer.from(memory.buffer);
    this.#exports = new WebAssembly.Instance(compiled, { mproxy: { memory } }).exports;
  }

  /**
   * Makes messages of the lines from `read` to `end`, from `at` on, until one would reach beyond `limit`; see
   * {@link head} and {@link count}. What follows the last newline is a message too.
   * @returns where the bytes begin that are left
   */
  pack(read: number, end: number, at: number, limit: number): number {
    return this.#exports.pack(read, end, at, limit) >>> 0;
  }

  /** Where the messages end that were made last. */
  get head(): number {
    return this.#exports.head() >>> 0;
  }

  /** How many messages were made last. */
  get count(): number {
    return this.#exports.count();
  }

  /**
   * Puts `count` messages that lie from `from` on, each with its length before it, at `to` one behind the other, and
   * their lengths at `sizes`, 16 bits each, little-endian.
   * @returns where they end
   */
  strip(from: number, count: number, to: number, sizes: number): number {
    return this.#exports.strip(from, count, to, sizes) >>> 0;
  }
}
