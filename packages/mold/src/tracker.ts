import { type Gap, Gaps } from './gaps.js';
import { countOf, END_OF_SESSION, HEADER, sequenceOf, skipMessages } from './packet.js';
import { ReorderBuffer } from './reorder-buffer.js';
import { RttEstimator } from './rtt-estimator.js';

/**
 * How long a missing packet may be on another way before it is asked for, and over how long receivers spread that, ms.
 * So a hundred that miss the same do not ask at the same moment. Each asks once for a range, and again when neither
 * request nor answer can be under way any more ({@link RttEstimator}): on average at most twice for each, and six times
 * where the sender needs seconds for all answers within its repair rate; and gets at most twice what it misses
 * (test/mold/hundred.test.ts).
 */
const REORDER_MS = 2;
const SPREAD_MS = 8;
/** How often what is missing is looked through at most, ms. */
const LOOK_MS = 2;
/** Bytes that one request asks for, about. */
const CHUNK = 32 * 1024;
/** Bytes that a request counts for at least: whoever forges many small gaps does not draw as many requests. */
const LEAST_COUNTED = 1024;
/** Bytes that may be asked for at once in any case. */
const LEAST_WINDOW = 4 * CHUNK;
/** Weight of a new sample in the mean message length. */
const WEIGHT = 1 / 8;

export interface TrackerOptions {
  /** The first sequence number that is wanted. */
  first: number;
  /** Bytes of packets that may be held until what is missing before them has come; may change. */
  window: number;
  /** Bytes that may be asked for and not yet come: what the socket for the answers has room for; may change. */
  budget: number;
  /** Milliseconds after the first request for a message at which it is given up. */
  timeout: number;
  /** Uniform in [0, 1); spreads the requests of many receivers in time. */
  random: () => number;
  /** Takes `count` messages in order, each with its length before it; the bytes are lent for the call. */
  deliver: (bytes: Buffer, offset: number, length: number, count: number) => void;
  /** Is told of messages that could not be had. */
  lost: (first: number, count: number) => void;
}

/** What a receiver of a session counts; messages, but for `gaps` and `asked`. */
export interface TrackerCounts {
  /** Times that something was missing. */
  gaps: number;
  /** Requests sent. */
  asked: number;
  /** Messages that came after they were asked for. */
  repaired: number;
  /** Messages that came more than once. */
  duplicates: number;
  /** Messages that were given up, and passed over. */
  lost: number;
}

/**
 * Receives one session: delivers every message once and in order, knows what is missing, and says what to ask for.
 * Pure: time comes in as milliseconds of a monotonic clock. Packets given to it are checked already.
 */
export class Tracker {
  readonly counts: TrackerCounts = { gaps: 0, asked: 0, repaired: 0, duplicates: 0, lost: 0 };
  /** The next number to deliver. */
  next: number;
  /** The number after the last, once the end of session was heard. */
  end: number | undefined;
  readonly #gaps = new Gaps();
  readonly #held: ReorderBuffer;
  /** The number after the highest that is known to exist. */
  #known: number;
  /** The mean length of messages; a guess until one came. */
  #messageBytes = 1024;
  #measured = false;
  readonly #rtt: RttEstimator;
  /** When what is missing is to be looked through next, by the clock. */
  #lookAt = Number.POSITIVE_INFINITY;
  /** When the newest request was made that was answered; and when a message came last that was asked for. */
  #answered = 0;
  #heard = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: TrackerOptions) {
    this.next = this.#known = options.first;
    this.#held = new ReorderBuffer(() => options.window);
    this.#rtt = new RttEstimator(LEAST_WINDOW, () => options.budget, options.random);
  }

  /** Whether every message up to the end of the session was delivered, or given up. */
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

  /** Takes a downstream packet, whichever way it came. */
  packet(bytes: Buffer, offset: number, length: number, now: number): void {
    const first = sequenceOf(bytes, offset);
    const count = countOf(bytes, offset);
    if (count === 0 || count === END_OF_SESSION) {
      this.#reach(first, now);
      if (count === END_OF_SESSION) this.end = this.#known;
      return;
    }
    // What comes after an end was none: the session goes on.
    if (this.end !== undefined && first + count > this.end) this.end = undefined;
    const body = length - HEADER;
    this.#messageBytes += (body / count - this.#messageBytes) * (this.#measured ? WEIGHT : 1);
    this.#measured = true;
    if (first === this.next && this.next === this.#known) {
      this.next = this.#known = first + count;
      this.options.deliver(bytes, offset + HEADER, body, count);
      return;
    }
    // What finds no room is as if it had not come: nothing beyond it is known, or it stays a gap.
    if (first > this.next && !this.#held.hasRoom(body)) {
      this.#gaps.refuse(first, first + count);
      return;
    }
    this.#sort(bytes, offset + HEADER, first, count, now);
    this.#release();
  }

  /** The sender says that it does not have what is before this number any more. */
  gone(before: number): void {
    const until = Math.min(before, this.#known);
    this.#gaps.take(0, until, 0, 0, (from, to) => this.#held.giveUp(from, to - from));
    this.#release();
  }

  /** The sender is gone: nothing that is missing will come. */
  abandon(): void {
    this.gone(Number.POSITIVE_INFINITY);
  }

  /**
   * Asks for what is due, and gives up what was asked for too long.
   * @returns milliseconds until it wants to be called again
   */
  ask(now: number, request: (first: number, count: number) => void): number {
    if (now >= this.#lookAt) this.#look(now, request);
    return this.#lookAt - now;
  }

  #look(now: number, request: (first: number, count: number) => void): void {
    const { timeout } = this.options;
    const full = !this.#held.hasRoom();
    const chunk = Math.max(1, Math.min(0xffff, Math.floor(CHUNK / this.#messageBytes)));
    const rules = {
      chunk,
      least: LEAST_COUNTED / this.#messageBytes,
      // With no room for what comes out of order, only what is missing first can be used.
      budget: full ? chunk : Math.max(chunk, this.#rtt.window / this.#messageBytes),
      passed: this.#answered - REORDER_MS,
      heard: this.#heard,
      patience: (late: number) => this.#rtt.of(late),
      timeout,
    };
    const again = this.#gaps.ask(now, rules, {
      request: (first, count) => {
        this.counts.asked++;
        request(first, count);
      },
      late: () => this.#rtt.late(now),
      lost: (from, to) => this.#held.giveUp(from, to - from),
    });
    this.#lookAt = Math.max(again, now + LOOK_MS);
    this.#release();
  }

  /** Something is missing, and to be asked for at that time. */
  #miss(first: number, end: number, due: number): void {
    this.#gaps.add(first, end, due);
    this.#lookAt = Math.min(this.#lookAt, due);
  }

  /** All numbers before this one exist. */
  #reach(number: number, now: number): void {
    if (number <= this.#known) return;
    this.counts.gaps++;
    this.#miss(this.#known, number, now + REORDER_MS + SPREAD_MS * this.options.random());
    this.#known = number;
  }

  /** Finds out which of a packet's messages are new. */
  #sort(bytes: Buffer, at: number, first: number, count: number, now: number): void {
    const end = first + count;
    const known = this.#known;
    let taken = 0;
    const accept = (from: number, to: number, gap?: Gap) => {
      taken += to - from;
      const begin = skipMessages(bytes, at, from - first);
      this.#keep(bytes, begin, skipMessages(bytes, begin, to - from), from, to);
      if (gap && gap.tries > 0) this.#repaired(to - from, gap, now);
    };
    if (first < known) {
      const later = now + this.#rtt.of(0);
      this.#gaps.take(first, Math.min(end, known), now + REORDER_MS, later, accept);
    }
    if (end > known) {
      this.#reach(first, now);
      this.#known = end;
      accept(Math.max(first, known), end);
    }
    this.counts.duplicates += count - taken;
  }

  #repaired(count: number, { tries, askedAt }: Gap, now: number): void {
    this.counts.repaired += count;
    this.#heard = now;
    this.#lookAt = Math.min(this.#lookAt, now + LOOK_MS);
    // Of one that was asked for again, nobody knows which request was answered (Karn).
    if (tries > 1) return;
    this.#rtt.answered(now, now - askedAt, count * this.#messageBytes);
    this.#answered = Math.max(this.#answered, askedAt);
  }

  /** Delivers messages that are next, and holds others. */
  #keep(bytes: Buffer, at: number, end: number, first: number, next: number): void {
    if (first !== this.next) {
      this.#held.put(first, next - first, bytes, at, end - at);
      return;
    }
    this.next = next;
    this.options.deliver(bytes, at, end - at, next - first);
  }

  /** Delivers what was held, as far as nothing is missing before it. */
  #release(): void {
    const { deliver } = this.options;
    let count: number;
    do {
      count = this.#held.take(this.next, deliver, (first, count) => this.#lose(first, count));
      this.next += count;
    } while (count > 0);
  }

  #lose(first: number, count: number): void {
    this.counts.lost += count;
    this.options.lost(first, count);
  }
}
