import type { Batch } from 'mproxy-framing';
import { BATCH_CAPACITY } from 'mproxy-framing/batch';
import type { SharedCounts } from './counts.js';
import { ERRNO } from './errno.js';
import { MOST_TRIES } from './error-queue.js';
import { encodeSegment, IOVEC, MMSGHDR, SEGMENT_SPACE } from './layout.js';
import type { Libc } from './libc.js';
import { type Left, MOST_LEFT, Unsent } from './unsent.js';

/** Errors of a segmented send on a route without offload (udp(7)). */
const NO_OFFLOAD = new Set([ERRNO.EIO, ERRNO.EINVAL, ERRNO.ENOPROTOOPT]);

/**
 * How long a stream retries while the interface's queue is full (ENOBUFS), in milliseconds. A driver may
 * refuse a packet permanently with the same error, as veth(4) does one larger than its peer's MTU.
 */
export const MOST_FULL_MS = 2000;

export interface BatchSenderOptions {
  /** A stream: unsent datagrams are retried without limit, oversized ones split. A relay drops and counts. */
  waits: boolean;
  /** As {@link SenderOptions.cutAfter}. */
  cutAfter?: number | false;
  /**
   * A relay on its own thread: a send blocks while the socket's buffer is full, for SO_SNDTIMEO at most.
   * Otherwise a relay keeps up to {@link MOST_LEFT} bytes to retry.
   */
  blocks?: boolean;
  /** Reads and counts the socket's error queue. @returns the number of errors that the network returned */
  readErrors: () => number;
  /** The destination of an unconnected socket. */
  name?: Buffer | undefined;
}

/** The sending half of a socket: up to 64 entries per sendmmsg(2), aggregates with their segment size. */
export class BatchSender {
  readonly #unsent: Unsent;
  /** Whether the route takes segmented sends; false from the first refusal on. */
  offload = true;
  /** Kept in fields, as is the slab being sent: the kernel is given their addresses. */
  readonly #arena = Buffer.alloc(BATCH_CAPACITY * (MMSGHDR.size + IOVEC.size + SEGMENT_SPACE));
  #slab: Buffer = Buffer.alloc(0);
  /** Exact as a number: user addresses of 64-bit Linux are below 2^47 (x86-64) or 2^52 (arm64). */
  #slabAddress = 0;
  readonly #words: Uint32Array;
  readonly #longs: BigUint64Array;
  readonly #address: bigint;
  readonly #offset = new Uint32Array(BATCH_CAPACITY);
  readonly #length = new Uint32Array(BATCH_CAPACITY);
  readonly #segment = new Uint16Array(BATCH_CAPACITY);
  #count = 0;
  /** The entry last sent again after an error, and the number of retries. */
  #retried = -1;
  #tries = 0;
  /** When the current run of ENOBUFS began; undefined after a successful send. */
  #fullSince: number | undefined;
  /** The previous call sent fewer messages than it was given. */
  #short = false;

  constructor(
    private readonly libc: Libc,
    readonly fd: number,
    private readonly counts: SharedCounts,
    private readonly options: BatchSenderOptions,
    private readonly now = () => performance.now(),
  ) {
    this.#unsent = new Unsent(options.waits ? Number.POSITIVE_INFINITY : MOST_LEFT);
    const { buffer, byteOffset, length } = this.#arena;
    this.#words = new Uint32Array(buffer, byteOffset, length / 4);
    this.#longs = new BigUint64Array(buffer, byteOffset, length / 8);
    this.#address = libc.address(this.#arena);
    this.#layOut(options.name);
  }

  /** Unsent datagrams, in order. */
  get left(): readonly Left[] {
    return this.#unsent.entries;
  }

  /** Sends a batch. Unsent datagrams are copied: the batch's bytes are free when it returns. */
  send(batch: Batch): void {
    if (this.#slab !== batch.slab) {
      this.#slab = batch.slab;
      this.#slabAddress = Number(this.libc.address(batch.slab));
    }
    for (let i = 0; i < batch.count; i++) this.#add(batch.offset[i]!, batch.length[i]!, batch.segment[i]!);
    this.#flush();
  }

  /** Sends unsent datagrams until the buffer is full again. */
  retry(): void {
    const waiting = this.#unsent.take();
    for (const [i, { bytes, segment }] of waiting.entries()) {
      if (this.left.length > 0) {
        this.#unsent.addAll(waiting.slice(i));
        return;
      }
      this.#slab = bytes;
      this.#slabAddress = Number(this.libc.address(bytes));
      this.#add(0, bytes.length, segment);
      this.#flush();
    }
  }

  /** Sends unsent datagrams once more; those that find no room are dropped. */
  finish(): void {
    this.retry();
    for (const { bytes, segment } of this.#unsent.take())
      this.counts.dropped += segment === 0 ? 1 : Math.ceil(bytes.length / segment);
  }

  #add(offset: number, length: number, segment: number): void {
    if (this.left.length > 0) {
      this.#keep(offset, length, segment);
      return;
    }
    if (segment > 0 && !this.offload) {
      const end = offset + length;
      for (let at = offset; at < end; at += segment) this.#add(at, Math.min(segment, end - at), 0);
      return;
    }
    if (this.#count === BATCH_CAPACITY) {
      this.#flush();
      this.#add(offset, length, segment);
      return;
    }
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
    this.#retried = -1;
    for (let at = 0; at < count; ) {
      const messages = this.#address + BigInt(at * MMSGHDR.size);
      const sent = this.libc.sendmmsg(this.fd, messages, count - at, this.options.blocks ? 0 : MSG_DONTWAIT);
      if (sent > 0) {
        this.#fullSince = undefined;
        // The previous call hid an error. This one succeeds, so an earlier datagram caused it.
        if (this.#short) this.options.readErrors();
        this.#short = sent < count - at;
        for (let i = at; i < at + sent; i++) this.#countSent(i);
        at += sent;
        continue;
      }
      const errno = sendError(this.libc.errno());
      this.#short = false;
      if (errno === ERRNO.EAGAIN || (errno === ERRNO.ENOBUFS && this.#waitsForQueue())) {
        this.#keepOrDrop(at, count);
        return;
      }
      if (errno === ERRNO.EINTR || this.#isEarlier(at, errno)) continue;
      if (this.#segment[at]! > 0 && NO_OFFLOAD.has(errno)) {
        this.#withoutOffload(at, count);
        return;
      }
      this.#failed(at, errno);
      at++;
    }
  }

  /** Whether to retry later after ENOBUFS. */
  #waitsForQueue(): boolean {
    if (!this.options.waits) return false;
    const now = this.now();
    this.#fullSince ??= now;
    return now - this.#fullSince < MOST_FULL_MS;
  }

  /**
   * Whether an error may belong to an earlier datagram (IP_RECVERR, ip(7)): this one is then sent again. For
   * errors that networks return, an empty queue proves nothing: another reader may have emptied it.
   */
  #isEarlier(at: number, errno: number): boolean {
    if (this.#retried !== at) this.#tries = 0;
    this.#retried = at;
    const returned = this.options.readErrors();
    const most = returned > 0 || errno === ERRNO.ECONNREFUSED ? MOST_TRIES : 1;
    return (returned > 0 || !OWN_ERRORS.has(errno)) && this.#tries++ < most;
  }

  #countSent(i: number): void {
    const segment = this.#segment[i]!;
    this.counts.moved(segment === 0 ? 1 : Math.ceil(this.#length[i]! / segment), this.#length[i]!);
  }

  #failed(at: number, errno: number): void {
    const { waits, cutAfter = NEWLINE } = this.options;
    const segment = this.#segment[at]!;
    if (errno === ERRNO.EMSGSIZE && segment > 0) {
      // A segment must fit the MTU; a single datagram may be fragmented (udp_send_skb, net/ipv4/udp.c).
      this.#sendOneByOne(at);
      return;
    }
    if (waits && cutAfter !== false && errno === ERRNO.EMSGSIZE && this.#length[at]! > 1) {
      this.#sendHalves(this.#offset[at]!, this.#length[at]!, cutAfter);
      return;
    }
    this.counts.failed(errno, segment === 0 ? 1 : Math.ceil(this.#length[at]! / segment));
  }

  /** Sends the entries from `at` on as single datagrams. */
  #withoutOffload(at: number, count: number): void {
    this.offload = false;
    const left = Array.from({ length: count - at }, (_, i) => at + i).map(
      (i) => [this.#offset[i]!, this.#length[i]!, this.#segment[i]!] as const,
    );
    for (const [offset, length, segment] of left) this.#add(offset, length, segment);
    this.#flush();
  }

  /** Splits a datagram that is too large in two. */
  #sendHalves(offset: number, length: number, cutAfter: number): void {
    const half = length >> 1;
    const cut = this.#slab.subarray(offset, offset + half).lastIndexOf(cutAfter) + 1 || half;
    const pieces = this.#sibling();
    pieces.#add(offset, cut, 0);
    pieces.#add(offset + cut, length - cut, 0);
    pieces.#flush();
    this.#unsent.addAll(pieces.left);
  }

  #sendOneByOne(at: number): void {
    const single = this.#sibling();
    single.offload = false;
    single.#add(this.#offset[at]!, this.#length[at]!, this.#segment[at]!);
    single.#flush();
    this.#unsent.addAll(single.left);
  }

  /** A second sender for the same socket and slab, as this one's entries are still in use. */
  #sibling(): BatchSender {
    const sibling = new BatchSender(this.libc, this.fd, this.counts, this.options, this.now);
    sibling.#slab = this.#slab;
    sibling.#slabAddress = this.#slabAddress;
    return sibling;
  }

  /** The socket's buffer is full: keeps the rest to retry, or drops it where the send has already blocked. */
  #keepOrDrop(at: number, count: number): void {
    for (let i = at; i < count; i++) {
      const [offset, length, segment] = [this.#offset[i]!, this.#length[i]!, this.#segment[i]!];
      if (this.options.blocks) this.counts.dropped += segment === 0 ? 1 : Math.ceil(length / segment);
      else this.#keep(offset, length, segment);
    }
  }

  #keep(offset: number, length: number, segment: number): void {
    if (this.#unsent.add(this.#slab.subarray(offset, offset + length), segment)) return;
    this.counts.dropped += segment === 0 ? 1 : Math.ceil(length / segment);
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

/** The send's own if the error queue is empty: rarely returned by networks, common for segmented sends. */
const OWN_ERRORS = new Set([...NO_OFFLOAD, ERRNO.EMSGSIZE, ERRNO.ENOBUFS, ERRNO.EPERM]);

/** After a failed reconnect (no route), the socket has no destination: reported as ENETUNREACH. */
function sendError(errno: number): number {
  return errno === ERRNO.EDESTADDRREQ ? ERRNO.ENETUNREACH : errno;
}

const IOVS = BATCH_CAPACITY * MMSGHDR.size;
const CONTROLS = IOVS + BATCH_CAPACITY * IOVEC.size;
const MSG_DONTWAIT = 0x40;
const NEWLINE = 0x0a;
