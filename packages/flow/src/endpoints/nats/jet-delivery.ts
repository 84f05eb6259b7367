import { numberIn } from './message-line.js';
import type { Message } from './protocol.js';

const DOT = 0x2e;
const NAME = Buffer.from('$JS.ACK.');
/** Dots of a reply subject: of servers up to 2.9, and of later ones, with domain and account (NATS ADR-15). */
const DOTS = 8;
const MIN_LONG_DOTS = 10;

/** Numbers of a message that a consumer sent: `$JS.ACK[.domain.account].stream.consumer.deliveries.stream-number.number.time.pending`. */
export class Delivery {
  /** In the stream. */
  sequence = 0;
  /** Among what the consumer sent, from 1. */
  number = 0;
  /** Whether it was not sent before. */
  isFirst = false;
  readonly #dots: number[] = [];

  /** Reads the reply subject of a message. @returns false: a consumer did not send it */
  read({ bytes, replyStart, replyEnd }: Message): boolean {
    for (let i = 0; i < NAME.length; i++) if (bytes[replyStart + i] !== NAME[i]) return false;
    const dots = this.#dots;
    dots.length = 0;
    for (let i = replyStart; i < replyEnd; i++) if (bytes[i] === DOT) dots.push(i);
    const isLong = dots.length >= MIN_LONG_DOTS;
    if (!isLong && dots.length !== DOTS) return false;
    const at = isLong ? 6 : 4;
    this.isFirst = numberIn(bytes, dots[at - 1]! + 1, dots[at]!) === 1;
    this.sequence = numberIn(bytes, dots[at]! + 1, dots[at + 1]!);
    this.number = numberIn(bytes, dots[at + 1]! + 1, dots[at + 2]!);
    return this.sequence > 0 && this.number > 0;
  }
}
