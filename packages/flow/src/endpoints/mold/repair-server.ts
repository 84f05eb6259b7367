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

/** Sends a packet back to who asked, from the socket that heard it. */
export type Reply = (bytes: Buffer, to: SocketAddress) => void;

/** Ranges that may wait, of all requesters together and of one alone; what is beyond that is asked for again. */
const MOST_RANGES = 16_384;
const MOST_OF_ONE = 1024;
const LEAST_OF_ONE = 8;
const MOST_REQUESTERS = 4096;
/** Bytes that one request may bring; for more, its sender asks again. */
const MOST_ANSWER = 256 * 1024;
/** A receiver that asks for what so many bytes were sent after is far behind; or a quarter of the store. */
const FAR_BEHIND = 16 * 1024 * 1024;
/** Who has not asked for so long gets no more: who still lacks something asks again, and who does not must not hold up an end. */
const FORGET_MS = 3000;
/** Bytes of a packet where they are counted, not measured. */
const SMALL_PACKET = 1024;
/** How long an unused allowance is saved up, and how soon one is looked for again, ms. */
const BURST_MS = 10;
const SERVE_MS = 1;

interface Range {
  next: number;
  end: number;
  /** Bytes that were sent for it. */
  bytes: number;
}

interface Requester {
  to: SocketAddress;
  reply: Reply;
  askedAt: number;
  /** None overlaps another: asked twice is asked once. */
  ranges: Set<Range>;
}

export interface RepairCounts {
  /** Requests heard, and those that no sender of this session could have meant. */
  requests: number;
  refused: number;
  /** Packets sent again. */
  answers: number;
}

/**
 * Answers requests: each requester in its turn, a packet at a time, all together at a bounded rate. So a storm of
 * requests costs no more than that rate, and leaves everybody a share of it.
 */
export class RepairServer {
  readonly counts: RepairCounts = { requests: 0, refused: 0, answers: 0 };
  /** When something was last asked for, by `performance.now()`. */
  askedAt = 0;
  /** When that was by a receiver that is far behind. */
  lateAt = Number.NEGATIVE_INFINITY;
  readonly #requesters = new Map<string, Requester>();
  readonly #scratch = Buffer.alloc(65_536);
  readonly #perMs: number;
  readonly #farBehind: number;
  #allowance = 0;
  #allowedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly store: PacketStore,
    private readonly session: string,
    /** The number of the next message; what is asked from there on does not exist. */
    private readonly next: () => number,
    private readonly rate: Rate,
  ) {
    this.#perMs = rate.perSecond / 1000;
    this.#farBehind = Math.min(FAR_BEHIND, store.slab.length / 4);
  }

  /** Whether something is still to be answered. */
  get busy(): boolean {
    return this.#requesters.size > 0;
  }

  /** Milliseconds that sending all that is kept once more takes, about. */
  get storeMs(): number {
    const each = this.rate.unit === 'bits' ? 8 : 1 / SMALL_PACKET;
    return (this.store.slab.length * each) / this.#perMs;
  }

  /** Takes whatever a sending socket heard. */
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
    const name = showAddress(to);
    let requester = this.#requesters.get(name);
    if (!requester) {
      if (this.#requesters.size === MOST_REQUESTERS) return false;
      requester = { to: { ...to }, reply, askedAt: 0, ranges: new Set() };
      this.#requesters.set(name, requester);
    }
    requester.askedAt = performance.now();
    const { ranges } = requester;
    const share = Math.max(LEAST_OF_ONE, Math.min(MOST_OF_ONE, MOST_RANGES / this.#requesters.size));
    for (const waiting of ranges) leaveOut(range, waiting);
    if (range.next >= range.end) return true;
    if (ranges.size >= share) return false;
    ranges.add(range);
    return true;
  }

  /** Goes round the requesters as far as the allowance goes. */
  #serve(): void {
    this.#timer = undefined;
    this.#allow();
    while (this.#allowance > 0) {
      const [entry] = this.#requesters;
      if (!entry) return;
      const [name, requester] = entry;
      this.#requesters.delete(name);
      if (this.#allowedAt - requester.askedAt > FORGET_MS) continue;
      this.#serveOne(requester);
      // Behind the others.
      if (requester.ranges.size > 0) this.#requesters.set(name, requester);
    }
    if (this.busy) this.#timer = setTimeout(() => this.#serve(), SERVE_MS);
  }

  #serveOne({ to, reply, ranges }: Requester): void {
    const [range] = ranges;
    if (!range) return;
    const sent = this.#send(range, to, reply);
    if (!sent || range.next >= range.end || range.bytes >= MOST_ANSWER) ranges.delete(range);
  }

  /** Sends the next packet of a range. @returns false when there is no more of it */
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
    this.#tellOldest(oldest, to, reply);
    range.next = oldest;
    return oldest < range.end;
  }

  /** A heartbeat with a number that is past is news to nobody but our receivers: what is before it cannot be had. */
  #tellOldest(oldest: number, to: SocketAddress, reply: Reply): void {
    this.#spend(HEADER);
    reply(headerAlone(this.session, oldest, HEARTBEAT), to);
  }

  #allow(): void {
    const now = performance.now();
    const most = Math.max(this.#perMs * BURST_MS, 1);
    this.#allowance = Math.min(most, this.#allowance + (now - this.#allowedAt) * this.#perMs);
    this.#allowedAt = now;
  }

  #spend(bytes: number): void {
    this.#allowance -= this.rate.unit === 'bits' ? bytes * 8 : 1;
  }
}

/** Takes from a range what another that still waits will bring; what lies on both sides of that is asked for again. */
function leaveOut(range: Range, { next, end }: Range): void {
  if (range.next >= end || range.end <= next) return;
  if (range.next >= next) range.next = end;
  else range.end = next;
}
