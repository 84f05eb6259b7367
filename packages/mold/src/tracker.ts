import { type AskRules, type Gap, Gaps } from './gaps.js';
import { countOf, END_OF_SESSION, HEADER, sequenceOf, skipMessages } from './packet.js';
import { ReorderBuffer } from './reorder-buffer.js';
import { RttEstimator } from './rtt-estimator.js';

/**
 * Delay before a missing packet is requested, which allows for reordering, and its random spread over
 * receivers, ms. The spread keeps a hundred receivers with the same loss from sending requests together. Each
 * requests a range once, and again when neither request nor answer can be in flight any more
 * ({@link RttEstimator}): on average at most twice, and six times if the repair rate of the sender delays
 * answers by seconds. A receiver gets at most twice as much as it misses (test/mold/hundred.test.ts).
 */
const REORDER_MS = 2;
const SPREAD_MS = 8;
/** Minimum interval between scans of the gaps, ms. */
const SCAN_MS = 2;
/** Approximate bytes of messages per request. */
const REQUEST_SIZE = 32 * 1024;
/** Minimum bytes that a request counts for: limits the requests that many small forged gaps cause. */
const MIN_COUNTED = 1024;
/** Rules without requests: each gap is waited for as a whole, until its timeout. */
const WAITING = {
  ...{ chunk: Number.MAX_SAFE_INTEGER, least: 0, budget: Number.POSITIVE_INFINITY },
  ...{ passed: Number.NEGATIVE_INFINITY, heard: Number.POSITIVE_INFINITY },
  patience: () => Number.POSITIVE_INFINITY,
};
/** Minimum window, in bytes. */
const MIN_WINDOW = 4 * REQUEST_SIZE;
/** Weight of a new sample in the mean message length. */
const WEIGHT = 1 / 8;

export interface TrackerOptions {
  /** The first sequence number to deliver. */
  first: number;
  /** Whether the messages before the first that comes may have been delivered earlier: given up, they are not lost. Default: no. */
  isFormer?: boolean;
  /** Maximum bytes of packets held while earlier messages are missing; may change. */
  window: number;
  /** Maximum bytes outstanding: room in the receive buffer for answers; may change. */
  budget: number;
  /** Whether missing messages can be requested; else they are waited for, as they may be late. Default: yes. */
  requests?: boolean;
  /** Milliseconds after the first request for a message, or when it was due, at which it is given up. */
  timeout: number;
  /** Uniform in [0, 1); spreads the requests of many receivers in time. */
  random: () => number;
  /** Takes `count` messages in order, each after its length; the bytes are valid only during the call. */
  deliver: (bytes: Buffer, offset: number, length: number, count: number) => void;
  /** Called for messages that are given up. */
  lost: (first: number, count: number) => void;
}

/** Counters of a receiver of a session, in messages except for `gaps` and `asked`. */
export interface TrackerCounts {
  /** Gaps detected. */
  gaps: number;
  /** Requests sent. */
  asked: number;
  /** Messages received after they were requested. */
  repaired: number;
  /** Messages received more than once. */
  duplicates: number;
  /** Messages given up and skipped. */
  lost: number;
}

/**
 * Receives one session: delivers every message once and in order, tracks gaps, and issues requests. It has no
 * clock of its own: times are milliseconds of a monotonic clock. Packets must be checked before.
 */
export class Tracker {
  readonly counts: TrackerCounts = { gaps: 0, asked: 0, repaired: 0, duplicates: 0, lost: 0 };
  /** The next number to deliver. */
  next: number;
  /** The number after the last, once the end of session was received. */
  end: number | undefined;
  readonly #gaps = new Gaps();
  readonly #held: ReorderBuffer;
  /** The number after the highest that is known to exist. */
  #known: number;
  /** Mean length of messages; a guess until one was received. */
  #messageBytes = 1024;
  #measured = false;
  readonly #rtt: RttEstimator;
  /** When the gaps are scanned next. */
  #scanAt = Number.POSITIVE_INFINITY;
  /** When the newest answered request was sent, and when a requested message was last received. */
  #answeredRequestAt = 0;
  #repairedAt = Number.NEGATIVE_INFINITY;

  readonly #requests: boolean;

  constructor(private readonly options: TrackerOptions) {
    this.#requests = options.requests ?? true;
    this.next = this.#known = options.first;
    this.#held = new ReorderBuffer(() => options.window);
    this.#rtt = new RttEstimator(MIN_WINDOW, () => options.budget, options.random);
  }

  /** Whether every message up to the end of the session was delivered or given up. */
  get ended(): boolean {
    return this.end !== undefined && this.next >= this.end;
  }

  /** Whether something is missing. */
  get waits(): boolean {
    return !this.#gaps.empty;
  }

  /** The number after the highest that is known to exist. */
  get known(): number {
    return this.#known;
  }

  /** Takes a downstream packet, original or retransmitted. */
  packet(bytes: Buffer, offset: number, length: number, now: number): void {
    const first = sequenceOf(bytes, offset);
    const count = countOf(bytes, offset);
    if (count === 0 || count === END_OF_SESSION) {
      this.#extendKnown(first, now);
      if (count === END_OF_SESSION) this.end = this.#known;
      return;
    }
    // Messages after an end of session: the session continues.
    if (this.end !== undefined && first + count > this.end) this.end = undefined;
    const body = length - HEADER;
    this.#messageBytes += (body / count - this.#messageBytes) * (this.#measured ? WEIGHT : 1);
    this.#measured = true;
    if (first === this.next && this.next === this.#known) {
      this.next = this.#known = first + count;
      this.options.deliver(bytes, offset + HEADER, body, count);
      return;
    }
    // A packet that cannot be held counts as not received: its messages stay unknown or missing.
    if (first > this.next && !this.#held.hasRoom(body)) {
      this.#gaps.refuse(first, first + count);
      return;
    }
    this.#acceptNew(bytes, offset + HEADER, first, count, now);
    this.#release();
  }

  /** The sender no longer has the messages before this number. */
  gone(before: number): void {
    const until = Math.min(before, this.#known);
    this.#gaps.take(0, until, 0, 0, (from, to) => this.#held.giveUp(from, to - from));
    this.#release();
  }

  /** The sender is gone: missing messages will not be received. */
  abandon(): void {
    this.gone(Number.POSITIVE_INFINITY);
  }

  /**
   * Requests due messages, and gives up those that timed out.
   * @returns milliseconds until it must be called again
   */
  ask(now: number, request: (first: number, count: number) => void): number {
    if (now >= this.#scanAt) this.#scan(now, request);
    return this.#scanAt - now;
  }

  #scan(now: number, request: (first: number, count: number) => void): void {
    const nextDue = this.#gaps.ask(now, this.#rules(), {
      request: (first, count) => {
        if (!this.#requests) return;
        this.counts.asked++;
        request(first, count);
      },
      late: () => this.#rtt.late(now),
      lost: (from, to) => this.#held.giveUp(from, to - from),
    });
    this.#scanAt = Math.max(nextDue, now + SCAN_MS);
    this.#release();
  }

  #rules(): AskRules {
    const { timeout } = this.options;
    if (!this.#requests) return { ...WAITING, timeout };
    const full = !this.#held.hasRoom();
    const chunk = Math.max(1, Math.min(0xffff, Math.floor(REQUEST_SIZE / this.#messageBytes)));
    return {
      chunk,
      least: MIN_COUNTED / this.#messageBytes,
      // Without room for later messages, only the first missing ones can be used.
      budget: full ? chunk : Math.max(chunk, this.#rtt.window / this.#messageBytes),
      passed: this.#answeredRequestAt - REORDER_MS,
      heard: this.#repairedAt,
      patience: (late: number) => this.#rtt.of(late),
      timeout,
    };
  }

  /** Adds a gap, to be requested at time `due`. */
  #addGap(first: number, end: number, due: number): void {
    this.#gaps.add(first, end, due);
    this.#scanAt = Math.min(this.#scanAt, due);
  }

  /** All numbers before this one exist. */
  #extendKnown(number: number, now: number): void {
    if (number <= this.#known) return;
    this.counts.gaps++;
    this.#addGap(this.#known, number, now + REORDER_MS + SPREAD_MS * this.options.random());
    this.#known = number;
  }

  /** Accepts the new messages of a packet. */
  #acceptNew(bytes: Buffer, at: number, first: number, count: number, now: number): void {
    const end = first + count;
    const known = this.#known;
    let taken = 0;
    const accept = (from: number, to: number, gap?: Gap) => {
      taken += to - from;
      const begin = skipMessages(bytes, at, from - first);
      this.#deliverOrHold(bytes, begin, skipMessages(bytes, begin, to - from), from, to);
      if (gap && gap.tries > 0 && this.#requests) this.#repaired(to - from, gap, now);
    };
    if (first < known) {
      const later = now + this.#rtt.of(0);
      this.#gaps.take(first, Math.min(end, known), now + REORDER_MS, later, accept);
    }
    if (end > known) {
      this.#extendKnown(first, now);
      this.#known = end;
      accept(Math.max(first, known), end);
    }
    this.counts.duplicates += count - taken;
  }

  #repaired(count: number, { tries, askedAt }: Gap, now: number): void {
    this.counts.repaired += count;
    this.#repairedAt = now;
    this.#scanAt = Math.min(this.#scanAt, now + SCAN_MS);
    // After several requests it is not known which one was answered (Karn).
    if (tries > 1) return;
    this.#rtt.answered(now, now - askedAt, count * this.#messageBytes);
    this.#answeredRequestAt = Math.max(this.#answeredRequestAt, askedAt);
  }

  /** Delivers messages if they are next, and holds them otherwise. */
  #deliverOrHold(bytes: Buffer, at: number, end: number, first: number, next: number): void {
    if (first !== this.next) {
      this.#held.put(first, next - first, bytes, at, end - at);
      return;
    }
    this.next = next;
    this.options.deliver(bytes, at, end - at, next - first);
  }

  /** Delivers held messages up to the next gap. */
  #release(): void {
    const { deliver } = this.options;
    let count: number;
    do {
      count = this.#held.take(this.next, deliver, (first, count) => this.#lose(first, count));
      this.next += count;
    } while (count > 0);
  }

  #lose(first: number, count: number): void {
    if (this.options.isFormer && first === this.options.first) return;
    this.counts.lost += count;
    this.options.lost(first, count);
  }
}
