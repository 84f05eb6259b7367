import type { StreamInfo } from './jet-api.js';
import type { Durable } from './jet-consumer.js';
import type { Delivery } from './jet-delivery.js';
import { matches } from './subject.js';

/** Messages of a stream by their numbers. */
export interface Range {
  first: number;
  last: number;
}

export interface GapHandler {
  /** The stream removed them before they were received. */
  onLost(range: Range): void;
  /** The stream removed them, and they were not received here; whether they are of the subject, and for this receiver, is unknown. */
  onRemoved(range: Range): void;
}

/** Follows the numbers of what is received of a stream, and finds what the stream removed before. */
export class JetGaps {
  /** The message after the last that was sent for the first time. */
  next = 1;
  /** Messages before this one may have been missing when the stream was first seen. */
  #exactFrom = 1;
  /** Whether the subject is all that the stream stores: its numbers then have no gaps but of what was removed. */
  #hasAll = false;
  /** The number of the last delivery among all of the consumer. */
  #number = 0;
  /** Whether all deliveries since the last first one came here: the next first one is of the next message that there is. */
  #isUnbroken = true;
  #doubtful: Range | undefined;

  /** @param isOrdered whether each delivery must be the next of the consumer */
  constructor(
    private readonly subject: string,
    private readonly isOrdered: boolean,
    private readonly handler: GapHandler,
  ) {}

  /** Nothing is received of the stream yet. @param next the first message that is to be */
  start(next: number, info: StreamInfo): void {
    this.next = next;
    this.#exactFrom = info.deleted > 0 ? info.last + 1 : next;
    this.#doubtful = undefined;
  }

  /** An ordered consumer is to be created; what was removed meanwhile is reported. */
  beforeOrdered(info: StreamInfo): void {
    this.#see(info);
    this.#lose(info.first - 1);
    this.#resume(0);
  }

  /** A durable consumer was found or created. What it sent may have gone to others, or to a former run. */
  atDurable({ floor, delivered, number, pending }: Durable, info: StreamInfo): void {
    this.#see(info);
    this.next = Math.max(this.next, floor + 1);
    if (pending > 0) {
      this.#remove(this.next, Math.min(delivered, info.first - 1));
      this.next = Math.max(this.next, delivered + 1);
    }
    this.#lose(info.first - 1);
    this.#resume(number);
  }

  /** A message came. @returns false: it is not to be taken, as deliveries of an ordered consumer before it were lost */
  take({ sequence, number, isFirst }: Delivery): boolean {
    const isNext = number === this.#number + 1;
    if (this.isOrdered && !isNext) return false;
    this.#number = number;
    this.#isUnbroken &&= isNext;
    if (!isFirst) return true;
    if (sequence > this.next) {
      if (this.#isUnbroken && this.#isExact) this.#lose(sequence - 1);
      else this.doubt({ first: this.next, last: sequence - 1 });
    }
    this.next = Math.max(this.next, sequence + 1);
    this.#isUnbroken = true;
    return true;
  }

  /** A gap is to be compared with the state of the stream; the largest one is. */
  doubt(range: Range): void {
    const { first, last } = this.#doubtful ?? { first: 0, last: 0 };
    if (range.last - range.first >= last - first) this.#doubtful = range;
  }

  /** A gap to compare with the state of the stream. It is returned once. */
  doubtful(): Range | undefined {
    const range = this.#doubtful;
    this.#doubtful = undefined;
    return range;
  }

  /** Compares a gap with the state of the stream, as it is after the gap was seen. */
  compare({ first, last }: Range, info: StreamInfo): void {
    this.#remove(first, Math.min(last, info.first - 1));
  }

  get #isExact(): boolean {
    return this.#hasAll && this.next >= this.#exactFrom;
  }

  #see({ subjects }: StreamInfo): void {
    this.#hasAll = subjects.length > 0 && subjects.every((one) => matches(this.subject, one));
  }

  #resume(number: number): void {
    this.#number = number;
    this.#isUnbroken = true;
  }

  /** Everything from the next message to this one was removed. */
  #lose(last: number): void {
    const range = { first: this.next, last };
    if (range.first > last) return;
    if (this.#isExact) this.handler.onLost(range);
    else this.handler.onRemoved(range);
    this.next = last + 1;
  }

  #remove(first: number, last: number): void {
    if (first <= last) this.handler.onRemoved({ first, last });
  }
}
