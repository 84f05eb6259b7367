import { IOVEC } from '../layout.js';
import type { Openssl } from './openssl.js';

/** The largest plaintext of a record (RFC 8446, section 5.1). */
export const RECORD = 16 * 1024;
/** Vectors of one {@link RecordVectors.load}. */
const MAX_VECTORS = 1024;

/**
 * Cuts an array of iovec structures into pieces for SSL_write. Small vectors are copied together, so that they are one record,
 * and one system call. The memory is reused: OpenSSL copies, too, when it encrypts.
 */
export class RecordVectors {
  /** The piece that {@link next} found. */
  address = 0;
  length = 0;
  readonly #table = Buffer.allocUnsafeSlow(MAX_VECTORS * IOVEC.size);
  readonly #words = new Uint32Array(this.#table.buffer, this.#table.byteOffset, this.#table.length / 4);
  readonly #record = Buffer.allocUnsafeSlow(RECORD);
  readonly #tableAddress: number;
  readonly #recordAddress: number;
  #count = 0;
  /** The vector that is next, and how many bytes of it are taken. */
  #index = 0;
  #offset = 0;

  constructor(private readonly ssl: Openssl) {
    this.#tableAddress = ssl.address(this.#table);
    this.#recordAddress = ssl.address(this.#record);
  }

  /** @param count with more than 1,024, the others are left for another call */
  load(vectors: bigint, count: number): void {
    this.#count = Math.min(count, MAX_VECTORS);
    this.#index = 0;
    this.#offset = 0;
    this.ssl.memcpy(this.#tableAddress, vectors, this.#count * IOVEC.size);
  }

  /** Finds the next piece. @param limit on its length, {@link RECORD} at most @returns whether there is one */
  next(limit: number): boolean {
    while (this.#index < this.#count && this.#left === 0) this.#step();
    if (this.#index === this.#count) return false;
    if (this.#left < limit && this.#index < this.#count - 1) this.#gather(limit);
    else {
      this.address = this.#base(this.#index) + this.#offset;
      this.length = Math.min(this.#left, limit);
    }
    return true;
  }

  /** Bytes of the piece were taken; the next one begins behind them. */
  take(bytes: number): void {
    let rest = bytes;
    while (rest > 0) {
      const bytes = Math.min(rest, this.#left);
      rest -= bytes;
      if (bytes === this.#left) this.#step();
      else this.#offset += bytes;
    }
  }

  #gather(limit: number): void {
    this.address = this.#recordAddress;
    this.length = 0;
    let offset = this.#offset;
    for (let i = this.#index; i < this.#count && this.length < limit; i++, offset = 0) {
      const bytes = Math.min(this.#size(i) - offset, limit - this.length);
      if (bytes > 0) this.ssl.memcpy(this.#recordAddress + this.length, this.#base(i) + offset, bytes);
      this.length += bytes;
    }
  }

  get #left(): number {
    return this.#size(this.#index) - this.#offset;
  }

  #step(): void {
    this.#index++;
    this.#offset = 0;
  }

  #base(index: number): number {
    return this.#word(index * IOVEC.size + IOVEC.base);
  }

  #size(index: number): number {
    return this.#word(index * IOVEC.size + IOVEC.length);
  }

  /** 64 bits, of which addresses and lengths use 53 at most. */
  #word(offset: number): number {
    return this.#words[offset >> 2]! + this.#words[(offset >> 2) + 1]! * 2 ** 32;
  }
}
