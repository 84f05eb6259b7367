import { closeSync, readSync } from 'node:fs';
import { throwInternal } from 'mproxy-base';
import type { Body, BodySink } from '../http/body.js';
import type { Range } from './ranges.js';

/** Bytes that are read at once, into memory that all files share: they are borrowed by the sink. */
const BLOCK = 64 * 1024;
/** After so many bytes it is the turn of others. */
const QUOTA = 4 * BLOCK;
let shared: Buffer | undefined;

/** A part of a body: bytes that are there, or a range of the file. */
export type Part = Uint8Array | Range;

/**
 * Parts of an open file, which it closes. A regular file never makes a reader wait for data (poll(2)), and the thread pool costs as much as
 * a read: it is read by the thread itself, block by block while the sink takes them.
 */
export class FileBody implements Body {
  readonly length: number;
  #sink: BodySink | undefined;
  #next = 0;
  /** Bytes of the next part that were passed on. */
  #done = 0;
  #paused = false;
  /** Whether bytes are being passed on: a sink may resume from within. */
  #passing = false;
  #turn: NodeJS.Immediate | undefined;
  #closed = false;

  /** @param fd given away */
  constructor(
    private readonly fd: number,
    private readonly parts: readonly Part[],
  ) {
    this.length = parts.reduce((sum, part) => sum + lengthOf(part), 0);
  }

  start(sink: BodySink): void {
    this.#sink = sink;
    this.#pass();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.#passing && this.#turn === undefined) this.#pass();
  }

  cancel(): void {
    this.#sink = undefined;
    this.#close();
  }

  #pass(): void {
    this.#turn = undefined;
    this.#passing = true;
    try {
      for (let passed = 0; this.#sink && !this.#paused; ) {
        if (this.#next === this.parts.length) {
          this.#end();
          return;
        }
        if (passed >= QUOTA) {
          this.#turn = setImmediate(() => this.#pass());
          return;
        }
        passed += this.#passPart(this.#sink, this.parts[this.#next]!);
      }
    } finally {
      this.#passing = false;
    }
  }

  /** @returns bytes that were passed on */
  #passPart(sink: BodySink, part: Part): number {
    const bytes = part instanceof Uint8Array ? part : this.#read(part);
    if (!bytes) return 0;
    this.#done += bytes.length;
    if (this.#done === lengthOf(part)) {
      this.#next++;
      this.#done = 0;
    }
    if (bytes.length > 0) sink.onData(bytes);
    return bytes.length;
  }

  #read({ start, end }: Range): Buffer | undefined {
    shared ??= Buffer.allocUnsafeSlow(BLOCK);
    const at = start + this.#done;
    try {
      const count = readSync(this.fd, shared, 0, Math.min(BLOCK, end - at), at);
      if (count > 0) return shared.subarray(0, count);
      this.#fail(new Error('the file was truncated'));
    } catch (error) {
      throwInternal(error);
      this.#fail(error as Error);
    }
    return undefined;
  }

  #end(): void {
    const sink = this.#sink;
    this.cancel();
    sink?.onEnd();
  }

  #fail(error: Error): void {
    const sink = this.#sink;
    this.cancel();
    sink?.onError(error);
  }

  #close(): void {
    if (this.#turn) clearImmediate(this.#turn);
    this.#turn = undefined;
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.fd);
  }
}

function lengthOf(part: Part): number {
  return part instanceof Uint8Array ? part.length : part.end - part.start;
}
