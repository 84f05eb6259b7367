import type { Rate } from 'mproxy-base';
import { type SocketAddress, showAddress } from 'mproxy-base';
import {
  answer,
  checkRequest,
  countOf,
  HEADER,
  HEARTBEAT,
  headerAlone,
  MoldError,
  type PacketStore,
  sequenceOf,
  sessionOf,
} from 'mproxy-mold';
import type { Reply } from '../../transport.js';

/** Limits on queued ranges, of all requesters and of one. Ranges beyond are requested again. */
const MAX_RANGES = 16_384;
const MAX_RANGES_EACH = 1024;
const MIN_RANGES_EACH = 8;
const MAX_REQUESTERS = 4096;
/** Limit on bytes sent for one request; the receiver requests the rest again. */
const MAX_ANSWER = 256 * 1024;
/** A receiver is far behind when this many bytes, or a quarter of the store, follow the requested message. */
const FAR_BEHIND = 16 * 1024 * 1024;
/** Requesters silent for this long are dropped, ms: live ones ask again, others must not delay the end. */
const REQUESTER_TIMEOUT_MS = 3000;
/** Assumed packet size for a rate in packets per second, in bytes. */
const ASSUMED_PACKET = 1024;
/** Depth of the token bucket, and the interval between refills, in milliseconds. */
const BURST_MS = 10;
const REFILL_MS = 1;

interface Range {
  next: number;
  end: number;
  /** Bytes sent for it. */
  bytes: number;
}

interface Requester {
  to: SocketAddress;
  reply: Reply;
  requestedAt: number;
  /** They do not overlap: a repeated request is answered once. */
  ranges: Set<Range>;
}

export interface RepairCounts {
  /** Requests received, and those refused: invalid, for another session, or beyond the limits. */
  requests: number;
  refused: number;
  /** Packets retransmitted. */
  answers: number;
}

/**
 * Retransmits round-robin, one packet per requester, with a limit on the total rate: a storm of requests
 * costs no more than that rate, and every requester gets its turn.
 */
export class RepairServer {
  readonly counts: RepairCounts = { requests: 0, refused: 0, answers: 0 };
  /** Time of the last request, by `performance.now()`. */
  askedAt = 0;
  /** Time of the last request from a receiver that is far behind. */
  lateAt = Number.NEGATIVE_INFINITY;
  readonly #requesters = new Map<string, Requester>();
  readonly #scratch = Buffer.alloc(65_536);
  readonly #perMs: number;
  readonly #farBehind: number;
  #tokens = 0;
  #refilledAt = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly store: PacketStore,
    private readonly session: string,
    /** The number of the next message; it and later ones do not exist yet. */
    private readonly next: () => number,
    private readonly rate: Rate,
  ) {
    this.#perMs = rate.perSecond / 1000;
    this.#farBehind = Math.min(FAR_BEHIND, store.slab.length / 4);
  }

  /** Whether requests are queued. */
  get busy(): boolean {
    return this.#requesters.size > 0;
  }

  /** Approximate time to retransmit the whole store, in milliseconds. */
  get storeMs(): number {
    const each = this.rate.unit === 'bits' ? 8 : 1 / ASSUMED_PACKET;
    return (this.store.slab.length * each) / this.#perMs;
  }

  /** Takes a datagram that arrived at a sending socket. */
  onMessage(bytes: Buffer, from: SocketAddress, reply: Reply): void {
    this.counts.requests++;
    const range = this.#read(bytes);
    if (!range || !this.#queue(range, from, reply)) {
      this.counts.refused++;
      return;
    }
    this.askedAt = performance.now();
    if (this.store.since(range.next) >= this.#farBehind) this.lateAt = this.askedAt;
    this.#timer ??= setTimeout(() => this.#serve(), 0);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#requesters.clear();
  }

  #read(bytes: Buffer): Range | undefined {
    try {
      checkRequest(bytes, 0, bytes.length);
    } catch (error) {
      if (error instanceof MoldError) return undefined;
      throw error;
    }
    const first = sequenceOf(bytes, 0);
    const end = Math.min(first + countOf(bytes, 0), this.next());
    if (sessionOf(bytes, 0) !== this.session || first >= end) return undefined;
    return { next: first, end, bytes: 0 };
  }

  #queue(range: Range, to: SocketAddress, reply: Reply): boolean {
    const key = showAddress(to);
    let requester = this.#requesters.get(key);
    if (!requester) {
      if (this.#requesters.size === MAX_REQUESTERS) return false;
      requester = { to: { ...to }, reply, requestedAt: 0, ranges: new Set() };
      this.#requesters.set(key, requester);
    }
    requester.requestedAt = performance.now();
    const { ranges } = requester;
    const limit = Math.max(MIN_RANGES_EACH, Math.min(MAX_RANGES_EACH, MAX_RANGES / this.#requesters.size));
    for (const queued of ranges) subtract(range, queued);
    if (range.next >= range.end) return true;
    if (ranges.size >= limit) return false;
    ranges.add(range);
    return true;
  }

  /** Serves requesters in turn while tokens last. */
  #serve(): void {
    this.#timer = undefined;
    this.#refill();
    while (this.#tokens > 0) {
      const [entry] = this.#requesters;
      if (!entry) return;
      const [key, requester] = entry;
      this.#requesters.delete(key);
      if (this.#refilledAt - requester.requestedAt > REQUESTER_TIMEOUT_MS) continue;
      this.#serveOne(requester);
      // To the end of the queue.
      if (requester.ranges.size > 0) this.#requesters.set(key, requester);
    }
    if (this.busy) this.#timer = setTimeout(() => this.#serve(), REFILL_MS);
  }

  #serveOne({ to, reply, ranges }: Requester): void {
    const [range] = ranges;
    if (!range) return;
    const sent = this.#send(range, to, reply);
    if (!sent || range.next >= range.end || range.bytes >= MAX_ANSWER) ranges.delete(range);
  }

  /** Sends the next packet of a range. @returns false when the store has no more of it */
  #send(range: Range, to: SocketAddress, reply: Reply): boolean {
    const found = answer(this.store, range.next, range.end - range.next, this.#scratch);
    if (found) {
      const { bytes, offset, length, next } = found;
      range.next = next;
      range.bytes += length;
      this.#spend(length);
      this.counts.answers++;
      reply(Buffer.from(bytes.subarray(offset, offset + length)), to);
      return true;
    }
    const { oldest } = this.store;
    if (oldest === undefined || oldest <= range.next) return false;
    this.#sendOldest(oldest, to, reply);
    range.next = oldest;
    return oldest < range.end;
  }

  /** A past heartbeat number tells mproxy receivers that earlier messages are no longer stored. */
  #sendOldest(oldest: number, to: SocketAddress, reply: Reply): void {
    this.#spend(HEADER);
    reply(headerAlone(this.session, oldest, HEARTBEAT), to);
  }

  #refill(): void {
    const now = performance.now();
    const depth = Math.max(this.#perMs * BURST_MS, 1);
    this.#tokens = Math.min(depth, this.#tokens + (now - this.#refilledAt) * this.#perMs);
    this.#refilledAt = now;
  }

  #spend(bytes: number): void {
    this.#tokens -= this.rate.unit === 'bits' ? bytes * 8 : 1;
  }
}

/** Removes the overlap with a queued range. If that splits the range, the later part is requested again. */
function subtract(range: Range, { next, end }: Range): void {
  if (range.next >= end || range.end <= next) return;
  if (range.next >= next) range.next = end;
  else range.end = next;
}
