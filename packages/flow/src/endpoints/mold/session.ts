import { type SocketAddress, showAddress, showCount, showNumber } from 'mproxy-base';
import type { Tracker, TrackerOptions } from 'mproxy-mold';

/** Limit on ranges of lost messages listed in a report. */
const MAX_LISTED = 8;

/** The source that received a session first, and delivers all of it. */
export interface SessionOwner {
  /** Takes a packet that another source received. */
  receive(session: Session, bytes: Buffer, offset: number, length: number): void;
}

/** One session of one sender, on the receiving side. */
export class Session {
  /** Its name in notices. */
  readonly name: string;
  readonly tracker: Tracker;
  /** When its last packet was received, by the receiver's clock. */
  heardAt = 0;
  /** Whether it ended, or its sender is gone. */
  over = false;
  /** Whether answers from an unexpected address were reported. */
  strayed = false;
  /** The first ranges of lost messages, the number of all ranges, and the end of the last. */
  readonly #listed: { first: number; end: number }[] = [];
  #ranges = 0;
  #lostEnd = 0;

  /**
   * @param from undefined: from a transport that does not name senders
   * @param ask destination of requests; undefined: none can be sent
   * @param track creates the tracker; its argument reports losses
   */
  constructor(
    readonly owner: SessionOwner | undefined,
    readonly id: string,
    readonly from: SocketAddress | undefined,
    readonly ask: SocketAddress | undefined,
    track: (lost: TrackerOptions['lost']) => Tracker,
  ) {
    // Control characters from the network must not reach a terminal.
    const shown = id.trim().replace(/[^ -~]/g, '?');
    this.name = from ? `session ${shown} of ${showAddress(from)}` : `session ${shown}`;
    this.tracker = track((first, count) => this.#addLost(first, count));
  }

  /** Its lost messages by number; undefined where there are none. */
  get lost(): string | undefined {
    if (this.#ranges === 0) return undefined;
    const numbers = this.#listed.map(({ first, end }) =>
      end - first === 1 ? `${first}` : `${first} to ${end - 1}`,
    );
    const more =
      this.#ranges > MAX_LISTED ? ` and ${showCount(this.#ranges - MAX_LISTED, 'more range')}` : '';
    const all = showNumber(this.tracker.counts.lost);
    return `${this.name}: messages ${numbers.join(', ')}${more} (${all} in all)`;
  }

  /** Its last message and final counts. */
  get outcome() {
    const { next, counts } = this.tracker;
    return { session: this.name, last: next - 1, ...counts };
  }

  #addLost(first: number, count: number): void {
    if (this.#ranges === 0 || this.#lostEnd !== first) {
      this.#ranges++;
      if (this.#ranges <= MAX_LISTED) this.#listed.push({ first, end: first + count });
    } else if (this.#ranges <= MAX_LISTED) this.#listed.at(-1)!.end = first + count;
    this.#lostEnd = first + count;
  }
}
