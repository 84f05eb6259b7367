import { BATCH_CAPACITY, type Batch } from '../batch.js';
import type { SharedCounts } from './counts.js';
import { ERRNO } from './errno.js';
import { encodeSegment, IOVEC, MMSGHDR, SEGMENT_SPACE } from './layout.js';
import type { Libc } from './libc.js';

/** What the kernel answers to a segmented send where the route has no offload (udp(7)). */
const NO_OFFLOAD = new Set([ERRNO.EIO, ERRNO.EINVAL, ERRNO.ENOPROTOOPT]);

export interface DispatchOptions {
  /** A stream waits for room and is sent in smaller pieces where a datagram is too big; a relay counts. */
  waits: boolean;
  /** The destination, where the socket is not connected. */
  name?: Buffer | undefined;
}

/**
 * The sending half of a socket: up to 64 entries in one system call, a coalesced entry with its segment size. The
 * call blocks while the socket's buffer is full.
 */
export class Dispatch {
  /** Whether the route takes segmented sends; once it refused, none is tried again. */
  offload = true;
  /** Everything the kernel is given the address of, the slab of the batch under way with it. */
  readonly #arena = Buffer.alloc(BATCH_CAPACITY * (MMSGHDR.size + IOVEC.size + SEGMENT_SPACE));
  #slab: Buffer = Buffer.alloc(0);
  /** User addresses of 64-bit Linux are below 2^47 (x86-64) or 2^52 (arm64): a number holds them exactly. */
  #slabAddress = 0;
  readonly #words: Uint32Array;
  readonly #longs: BigUint64Array;
  readonly #address: bigint;
  readonly #offset = new Uint32Array(BATCH_CAPACITY);
  readonly #length = new Uint32Array(BATCH_CAPACITY);
  readonly #segment = new Uint16Array(BATCH_CAPACITY);
  #count = 0;
  /** The entry that was sent again after a refusal. */
  #again = -1;

  constructor(
    private readonly libc: Libc,
    readonly fd: number,
    private readonly counts: SharedCounts,
    private readonly options: DispatchOptions,
  ) {
    const { buffer, byteOffset, length } = this.#arena;
    this.#words = new Uint32Array(buffer, byteOffset, length / 4);
    this.#longs = new BigUint64Array(buffer, byteOffset, length / 8);
    this.#address = libc.address(this.#arena);
    this.#layOut(options.name);
  }

  /** Sends a batch; when it returns, the kernel has taken or refused every datagram. */
  send(batch: Batch): void {
    if (this.#slab !== batch.slab) {
      this.#slab = batch.slab;
      this.#slabAddress = Number(this.libc.address(batch.slab));
    }
    for (let i = 0; i < batch.count; i++) this.#put(batch.offset[i]!, batch.length[i]!, batch.segment[i]!);
    this.#flush();
  }

  #put(offset: number, length: number, segment: number): void {
    if (segment > 0 && !this.offload) {
      const end = offset + length;
      for (let at = offset; at < end; at += segment) this.#put(at, Math.min(segment, end - at), 0);
      return;
    }
    if (this.#count === BATCH_CAPACITY) this.#flush();
    const i = this.#count++;
    this.#offset[i] = offset;
    this.#length[i] = length;
    this.#segment[i] = segment;
    const iov = (IOVS + i * IOVEC.size) >> 2;
    const address = this.#slabAddress + offset;
    this.#words[iov] = address;
    this.#words[iov + 1] = address / 2 ** 32;
    this.#words[iov + 2] = length;
    const control = segment > 0 ? SEGMENT_SPACE : 0;
    this.#words[(i * MMSGHDR.size + MMSGHDR.controlLength) >> 2] = control;
    if (control > 0) this.#arena.writeUInt16LE(segment, CONTROLS + i * SEGMENT_SPACE + 16);
  }

  #flush(): void {
    const count = this.#count;
    this.#count = 0;
    this.#again = -1;
    for (let at = 0; at < count; ) {
      const messages = this.#address + BigInt(at * MMSGHDR.size);
      const sent = this.libc.sendmmsg(this.fd, messages, count - at, 0);
      if (sent > 0) {
        for (let i = at; i < at + sent; i++) this.#sent(i);
        at += sent;
        continue;
      }
      const errno = sendError(this.libc.errno());
      if (this.#segment[at]! > 0 && NO_OFFLOAD.has(errno)) {
        this.#withoutOffload(at, count);
        return;
      }
      at += this.#failed(at, errno);
    }
  }

  #sent(i: number): void {
    const segment = this.#segment[i]!;
    this.counts.moved(segment === 0 ? 1 : Math.ceil(this.#length[i]! / segment), this.#length[i]!);
  }

  /** @returns 1 when the entry is done with, 0 when it is to be sent again */
  #failed(at: number, errno: number): 0 | 1 {
    const { waits } = this.options;
    if (errno === ERRNO.EINTR || (waits && errno === ERRNO.EAGAIN)) return 0;
    if (waits && errno === ERRNO.ENOBUFS) {
      Atomics.wait(PAUSE, 0, 0, 1);
      return 0;
    }
    if (errno === ERRNO.ECONNREFUSED) {
      this.counts.failed(errno, 1);
      if (this.#again === at) return 1;
      this.#again = at;
      return 0;
    }
    if (waits && errno === ERRNO.EMSGSIZE && this.#length[at]! > 1) {
      this.#sendHalves(this.#offset[at]!, this.#length[at]!);
      return 1;
    }
    const segment = this.#segment[at]!;
    this.counts.failed(errno, segment === 0 ? 1 : Math.ceil(this.#length[at]! / segment));
    return 1;
  }

  /** Sends on from the first unsent entry, datagram by datagram. */
  #withoutOffload(at: number, count: number): void {
    this.offload = false;
    const left = Array.from({ length: count - at }, (_, i) => at + i).map(
      (i) => [this.#offset[i]!, this.#length[i]!, this.#segment[i]!] as const,
    );
    for (const [offset, length, segment] of left) this.#put(offset, length, segment);
    this.#flush();
  }

  /** A datagram that is too big goes in two, cut after a newline where its first half has one. */
  #sendHalves(offset: number, length: number): void {
    const half = length >> 1;
    const newline = this.#slab.subarray(offset, offset + half).lastIndexOf(0x0a);
    const cut = newline < 0 ? half : newline + 1;
    const rest = new Dispatch(this.libc, this.fd, this.counts, this.options);
    rest.#slab = this.#slab;
    rest.#slabAddress = this.#slabAddress;
    rest.#put(offset, cut, 0);
    rest.#put(offset + cut, length - cut, 0);
    rest.#flush();
  }

  #layOut(name: Buffer | undefined): void {
    for (let i = 0; i < BATCH_CAPACITY; i++) {
      const header = (i * MMSGHDR.size) >> 3;
      this.#longs[header + (MMSGHDR.iov >> 3)] = this.#address + BigInt(IOVS + i * IOVEC.size);
      this.#longs[header + (MMSGHDR.iovCount >> 3)] = 1n;
      this.#longs[header + (MMSGHDR.control >> 3)] = this.#address + BigInt(CONTROLS + i * SEGMENT_SPACE);
      encodeSegment(this.#arena, CONTROLS + i * SEGMENT_SPACE, 0);
      if (!name) continue;
      this.#longs[header + (MMSGHDR.name >> 3)] = this.libc.address(name);
      this.#words[(i * MMSGHDR.size + MMSGHDR.nameLength) >> 2] = name.length;
    }
  }
}

/** A socket that could not be connected again, for want of a route, has no destination. */
function sendError(errno: number): number {
  return errno === ERRNO.EDESTADDRREQ ? ERRNO.ENETUNREACH : errno;
}

const IOVS = BATCH_CAPACITY * MMSGHDR.size;
const CONTROLS = IOVS + BATCH_CAPACITY * IOVEC.size;
const PAUSE = new Int32Array(new SharedArrayBuffer(4));
