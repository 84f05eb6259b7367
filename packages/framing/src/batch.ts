import type { SocketAddress } from 'mproxy-base';

/** Entries in a batch: one recvmmsg(2) or sendmmsg(2) of a batched engine. */
export const BATCH_CAPACITY = 64;

const MAX_SEGMENTS = 64;
const MAX_JOINED = 65_487;
const NEWLINE = 0x0a;

/** Lengths of datagrams; of 32 bits where a batch is {@link Batch.large}. */
export type Sizes = Uint16Array | Uint32Array;

/**
 * Datagrams on their way from a source to its sinks: ranges of one slab, which is allocated once and reused.
 * An entry is one datagram or, if its segment size is set, several of equal size (the last may be shorter),
 * as received with UDP_GRO and sent with UDP_SEGMENT (udp(7)).
 *
 * A sink may use the batch only during the call; to use bytes longer, it calls {@link keep}.
 */
export class Batch {
  static readonly capacity = BATCH_CAPACITY;
  slab: Buffer = Buffer.alloc(0);
  /** Whether the slab will be reused: bytes to keep must be copied. */
  lent = false;
  /** Whether the entries are whole lines of a stream, not received datagrams. */
  lines = false;
  /** Whether an entry may exceed a UDP datagram, as a message of another transport may. It is then a single one. */
  large = false;
  count = 0;
  readonly offset = new Uint32Array(BATCH_CAPACITY);
  readonly length = new Uint32Array(BATCH_CAPACITY);
  /** Bytes of each datagram of an entry; 0 if the entry is one datagram. */
  readonly segment = new Uint16Array(BATCH_CAPACITY);
  /**
   * Sender of each entry, if set by the receiver (`tellsSenders`). Equal successive senders are one object.
   */
  readonly from: (SocketAddress | undefined)[] = new Array(BATCH_CAPACITY).fill(undefined);

  /**
   * Set if the batch is a single entry of {@link sized} contiguous datagrams of any length: their lengths.
   * The array is reused by the creator of the batch.
   */
  sizes: Sizes | undefined;
  sized = 0;

  get full(): boolean {
    return this.count === BATCH_CAPACITY;
  }

  /** Empties the batch and points it at a slab. */
  reset(slab: Buffer): void {
    this.slab = slab;
    this.count = 0;
    this.sizes = undefined;
  }

  add(offset: number, length: number, segment = 0): void {
    if (this.full) throw new RangeError('the batch is full');
    const i = this.count++;
    this.offset[i] = offset;
    this.length[i] = length;
    this.segment[i] = segment;
  }

  /**
   * Adds contiguous datagrams of one length as one entry. UDP_SEGMENT takes at most 64 segments
   * (UDP_MAX_SEGMENTS, linux/udp.h) and, with the headers, the 65,535 bytes of an IP packet.
   * @returns how many of the `count` were added
   */
  addRun(offset: number, length: number, count: number): number {
    const fit = length === 0 ? 1 : Math.max(1, Math.floor(MAX_JOINED / length));
    const taken = Math.min(count, MAX_SEGMENTS, fit);
    this.add(offset, taken * length, taken > 1 ? length : 0);
    return taken;
  }

  /**
   * Adds contiguous datagrams of one length, of any number and in any slab.
   * @param pass takes and empties the batch when it is full or lies in another slab, before more is added
   */
  addRuns(slab: Buffer, offset: number, length: number, count: number, pass: () => void): void {
    for (let done = 0; done < count; ) {
      if (this.full || (this.count > 0 && this.slab !== slab)) pass();
      if (this.count === 0) this.reset(slab);
      done += this.addRun(offset + done * length, length, count - done);
    }
  }

  /** Makes the batch a single entry of `count` contiguous datagrams of these lengths. */
  setSized(offset: number, length: number, sizes: Sizes, count: number): void {
    this.count = 0;
    this.add(offset, length);
    this.sizes = sizes;
    this.sized = count;
  }

  /** Bytes in all entries. */
  get bytes(): number {
    let bytes = 0;
    for (let i = 0; i < this.count; i++) bytes += this.length[i]!;
    return bytes;
  }

  /** Datagrams in all entries, empty ones included. */
  get datagrams(): number {
    if (this.sizes) return this.sized;
    let datagrams = 0;
    for (let i = 0; i < this.count; i++) {
      const segment = this.segment[i]!;
      datagrams += segment === 0 ? 1 : Math.ceil(this.length[i]! / segment);
    }
    return datagrams;
  }

  /** Whether the last datagram is not empty and lacks a final newline. */
  get unterminated(): boolean {
    const last = this.count - 1;
    const length = last < 0 ? 0 : this.length[last]!;
    return length > 0 && this.slab[this.offset[last]! + length - 1] !== NEWLINE;
  }

  /** Calls `visit` with the range of each datagram in the slab, in order. */
  each(visit: (offset: number, length: number) => void): void {
    if (this.sizes) {
      for (let i = 0, at = this.offset[0]!; i < this.sized; at += this.sizes[i++]!) visit(at, this.sizes[i]!);
      return;
    }
    for (let i = 0; i < this.count; i++) {
      const end = this.offset[i]! + this.length[i]!;
      const step = this.segment[i]! || this.length[i]!;
      if (step === 0) visit(this.offset[i]!, 0);
      else for (let at = this.offset[i]!; at < end; at += step) visit(at, Math.min(step, end - at));
    }
  }

  /** The bytes of a range, valid as long as the caller holds them; copied if {@link lent}. */
  keep(offset: number, length: number): Buffer {
    const range = this.slab.subarray(offset, offset + length);
    return this.lent ? Buffer.from(range) : range;
  }
}
