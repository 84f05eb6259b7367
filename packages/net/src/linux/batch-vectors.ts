import type { Batch, Frame } from 'mproxy-framing';
import { ADDED_NEWLINE, toStream } from 'mproxy-framing/join';
import type { Prepared } from '../fanout/fanout.js';
import { IOV_MAX, IoVectors } from './io-vectors.js';
import type { Libc } from './libc.js';

/** A batch as a stream, where it lies: buffers for writev(2), the same for any number of connections. */
export class BatchVectors implements Prepared {
  readonly vectors: IoVectors;
  datagrams = 0;
  readonly #newline: number;
  #slab: Buffer = Buffer.alloc(0);
  #slabAddress = 0;
  /** The bytes that are not in a vector yet. */
  #start = 0;
  #end = 0;
  #fits = true;

  constructor(private readonly libc: Libc) {
    this.vectors = new IoVectors(libc, IOV_MAX);
    this.#newline = Number(libc.address(ADDED_NEWLINE));
  }

  get bytes(): number {
    return this.vectors.bytes;
  }

  prepare(batch: Batch, frame: Frame): boolean {
    // It puts a count before each datagram, which lies elsewhere.
    if (frame === 'octet-counted') return false;
    if (this.#slab !== batch.slab) {
      this.#slab = batch.slab;
      this.#slabAddress = Number(this.libc.address(batch.slab));
    }
    this.vectors.clear();
    this.datagrams = this.#start = this.#end = 0;
    this.#fits = true;
    toStream(batch, frame, this.#take);
    this.#add(this.#start, this.#end - this.#start);
    return this.#fits;
  }

  readonly #take = (slab: Buffer, offset: number, length: number, datagrams: number): void => {
    this.datagrams += datagrams;
    const at = slab === ADDED_NEWLINE ? this.#newline : this.#slabAddress + offset;
    if (at !== this.#end) {
      this.#add(this.#start, this.#end - this.#start);
      this.#start = at;
    }
    this.#end = at + length;
  };

  #add(address: number, length: number): void {
    if (this.vectors.count === IOV_MAX) this.#fits = false;
    else this.vectors.add(address, length);
  }
}
