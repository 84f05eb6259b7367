import type { Batch } from 'mproxy-framing';
import { BATCH_CAPACITY } from 'mproxy-framing/batch';
import { CONTROL_SIZE, decodeSegment, IOVEC, MMSGHDR, NAME_SIZE, NAME_SPACE } from './layout.js';
import type { Libc } from './libc.js';
import type { SenderFilter } from './sender-filter.js';

/** Bytes per entry: a datagram of any size, or one UDP_GRO aggregate (udp(7): at most 64 KiB). */
const ENTRY_SIZE = 65_536;

/** Receives up to 64 entries per recvmmsg(2), from any number of sockets in turn. */
export class BatchReceiver {
  /** Kept in fields: the kernel is given the addresses of both. */
  readonly #slab = Buffer.allocUnsafeSlow(BATCH_CAPACITY * ENTRY_SIZE);
  readonly #arena = Buffer.alloc(BATCH_CAPACITY * (MMSGHDR.size + IOVEC.size + CONTROL_SIZE + NAME_SPACE));
  readonly #address: bigint;
  readonly #lengths: Uint32Array;
  readonly #controlAt = BATCH_CAPACITY * (MMSGHDR.size + IOVEC.size);
  readonly #nameAt = this.#controlAt + BATCH_CAPACITY * CONTROL_SIZE;
  #used = BATCH_CAPACITY;
  /** Number of empty datagrams in the last batch, and the slab offset of the last one. */
  empty = 0;
  emptyOffset = 0;
  /** Datagrams of the last batch dropped because their sender is not allowed. */
  refused = 0;
  /** Bytes received by the last call, including those not delivered. */
  bytes = 0;

  constructor(private readonly libc: Libc) {
    this.#address = libc.address(this.#arena);
    this.#lengths = new Uint32Array(this.#arena.buffer, this.#arena.byteOffset, this.#arena.length / 4);
    this.#layOut(libc.address(this.#slab));
  }

  /**
   * Fills the batch from a socket. Its bytes are valid until the next call.
   * @param flags MSG_WAITFORONE waits for the first datagram, MSG_DONTWAIT for none
   * @returns the number of entries received, including those not delivered; negative: an errno
   */
  receive(fd: number, batch: Batch, filter: SenderFilter, flags: number): number {
    this.#reset();
    this.bytes = 0;
    const count = this.libc.recvmmsg(fd, this.#address, BATCH_CAPACITY, flags, null);
    if (count < 0) {
      const errno = this.libc.errno();
      this.#used = 0;
      return -errno;
    }
    this.#used = count;
    this.empty = 0;
    this.refused = 0;
    batch.reset(this.#slab);
    batch.lent = true;
    let received = 0;
    for (let i = 0; i < count; i++) if (this.#take(i, batch, filter)) received++;
    return received;
  }

  /** Holds the sender's socket address of each entry of the last batch, at {@link nameOf}. */
  get names(): Uint32Array {
    return this.#lengths;
  }

  /** Index in {@link names} of the sender of the entry at a slab offset. */
  nameOf(offset: number): number {
    return (this.#nameAt + (offset / ENTRY_SIZE) * NAME_SPACE) >> 2;
  }

  /** @returns false for an entry without data and sender, as a receive after shutdown(2) returns */
  #take(i: number, batch: Batch, filter: SenderFilter): boolean {
    const at = i * MMSGHDR.size;
    const length = this.#lengths[(at + MMSGHDR.length) >> 2]!;
    if (length === 0 && this.#lengths[(at + MMSGHDR.nameLength) >> 2] === 0) return false;
    this.bytes += length;
    const nameAt = this.#nameAt + i * NAME_SPACE;
    if (filter.filters && filter.ignores(this.#arena, nameAt)) return true;
    const controlLength = this.#lengths[(at + MMSGHDR.controlLength) >> 2]!;
    const segment = decodeSegment(this.#arena, this.#controlAt + i * CONTROL_SIZE, controlLength);
    if (filter.filters && !filter.allows(this.#lengths, nameAt >> 2)) {
      // UDP_GRO aggregates datagrams of one sender only (udp_gro_receive_segment, net/ipv4/udp_offload.c).
      this.refused += segment > 0 && segment < length ? Math.ceil(length / segment) : 1;
      return true;
    }
    if (length === 0) {
      this.empty++;
      this.emptyOffset = i * ENTRY_SIZE;
    }
    batch.add(i * ENTRY_SIZE, length, segment < length ? segment : 0);
    return true;
  }

  /** The kernel overwrites the lengths of the entries it uses. */
  #reset(): void {
    for (let i = 0; i < this.#used; i++) {
      const at = (i * MMSGHDR.size) >> 2;
      this.#lengths[at + (MMSGHDR.controlLength >> 2)] = CONTROL_SIZE;
      this.#lengths[at + (MMSGHDR.nameLength >> 2)] = NAME_SIZE;
    }
  }

  #layOut(slab: bigint): void {
    const arena = this.#arena;
    for (let i = 0; i < BATCH_CAPACITY; i++) {
      const header = i * MMSGHDR.size;
      const iov = BATCH_CAPACITY * MMSGHDR.size + i * IOVEC.size;
      const pointer = (value: number, at: number) =>
        arena.writeBigUInt64LE(this.#address + BigInt(value), at);
      pointer(this.#nameAt + i * NAME_SPACE, header + MMSGHDR.name);
      pointer(iov, header + MMSGHDR.iov);
      arena.writeBigUInt64LE(1n, header + MMSGHDR.iovCount);
      pointer(this.#controlAt + i * CONTROL_SIZE, header + MMSGHDR.control);
      arena.writeBigUInt64LE(slab + BigInt(i * ENTRY_SIZE), iov + IOVEC.base);
      arena.writeBigUInt64LE(BigInt(ENTRY_SIZE), iov + IOVEC.length);
    }
  }
}
