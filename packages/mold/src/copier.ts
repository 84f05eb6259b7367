import { COPIER } from './copier.wasm.js';

/** Bytes that a copy may read or write past the end. */
export const SLACK = 32;

const PAGE = 65_536;

/** Exports of copier.wat. Positions are bytes of its memory, returned as signed numbers. */
interface Exports {
  pack(read: number, end: number, at: number, limit: number): number;
  head(): number;
  count(): number;
  strip(from: number, count: number, to: number, sizes: number): number;
}

/** The part of the WebAssembly API in use (webassembly.github.io/spec/js-api), which Node's types omit. */
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

/** The copy loops of copier.wat, in a memory of their own, which must contain the data to copy. */
export class Copier {
  readonly memory: Buffer;
  readonly #exports: Exports;

  /**
   * @param bytes minimum memory, including {@link SLACK} behind every copied range
   * @throws an Error if the system does not grant it, or the processor has no vectors. V8 reserves some
   * 10 GiB of addresses each time, to avoid bounds checks.
   */
  constructor(bytes: number) {
    compiled ??= compile();
    const memory = reserve(Math.ceil(bytes / PAGE));
    this.memory = Buffer.from(memory.buffer);
    this.#exports = new WebAssembly.Instance(compiled, { mproxy: { memory } }).exports;
  }

  /**
   * Packs the lines from `read` to `end` into messages at `at`, until one would exceed `limit`; see
   * {@link head} and {@link count}. Bytes after the last newline are a message too.
   * @returns the offset of the remaining bytes
   */
  pack(read: number, end: number, at: number, limit: number): number {
    return this.#exports.pack(read, end, at, limit) >>> 0;
  }

  /** Where the messages of the last {@link pack} end. */
  get head(): number {
    return this.#exports.head() >>> 0;
  }

  /** Number of messages of the last {@link pack}. */
  get count(): number {
    return this.#exports.count();
  }

  /**
   * Copies `count` messages at `from`, each after its length, to `to` without the lengths, and writes these
   * to `sizes`, 16 bits each, little-endian.
   * @returns where the messages end
   */
  strip(from: number, count: number, to: number, sizes: number): number {
    return this.#exports.strip(from, count, to, sizes) >>> 0;
  }
}
