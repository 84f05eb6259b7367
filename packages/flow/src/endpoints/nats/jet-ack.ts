import { statusOf } from './encoder.js';
import { describeError, parseFields } from './jet-api.js';
import { numberIn } from './message-line.js';
import type { Message } from './protocol.js';
import { printable } from './protocol-error.js';

const ZERO = 0x30;
const END = 0x7d;
/** Refusals of the message itself: it is too large for the stream, or its headers are (nats-server, errors.json). */
const TOO_LARGE = [10_054, 10_097];

/** What a stream answered to a message. `later`: it can be sent again; `never`: it is refused for good. */
export type Answer = 'stored' | 'duplicate' | { later: string } | { never: string };

/** Reads the acknowledgements of a stream. */
export class AckReader {
  /** How the most frequent answer begins (nats-server, PubAck); the sequence number and a brace follow. */
  readonly #usual: Buffer;

  /** @param inbox the reply subjects, up to the numbers of the messages */
  constructor(
    private readonly stream: string,
    private readonly inbox: string,
  ) {
    this.#usual = Buffer.from(`{"stream":"${stream}", "seq":`);
  }

  read(message: Message): Answer {
    if (message.headerLength > 0) {
      const status = statusOf(message.headers);
      // No responders: the stream is not there, or has no leader (NATS ADR-13).
      return {
        later:
          status?.code === 503
            ? 'no stream stores the subject, or it has no leader'
            : 'an acknowledgement with unknown headers',
      };
    }
    return this.#isUsual(message) ? 'stored' : this.#parse(String(message.payload));
  }

  /** The number of the message that an answer is for; NaN: none. */
  number({ bytes, subjectStart, subjectEnd }: Message): number {
    return numberIn(bytes, subjectStart + this.inbox.length, subjectEnd);
  }

  #isUsual({ bytes, offset, length }: Message): boolean {
    const usual = this.#usual;
    const end = offset + length - 1;
    if (length <= usual.length + 1 || bytes[end] !== END) return false;
    for (let i = 0; i < usual.length; i++) if (bytes[offset + i] !== usual[i]) return false;
    for (let i = offset + usual.length; i < end; i++) {
      const digit = bytes[i]! - ZERO;
      if (!(digit >= 0 && digit <= 9)) return false;
    }
    return true;
  }

  #parse(json: string): Answer {
    try {
      const fields = parseFields(json);
      if (fields.has('error')) {
        const error = fields.object('error');
        const why = describeError(error);
        // A full stream or account may have room later, and a configuration may change.
        return TOO_LARGE.includes(error.count('err_code')) ? { never: why } : { later: why };
      }
      const stream = printable(fields.text('stream'));
      if (stream !== this.stream) return { never: `stream ${stream || 'without a name'} stored it` };
      return /"duplicate":\s*true/.test(json) ? 'duplicate' : 'stored';
    } catch (error) {
      return { later: (error as Error).message };
    }
  }
}
