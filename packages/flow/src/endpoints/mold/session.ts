import { type SocketAddress, showAddress, showCount, showNumber } from 'mproxy-base';
import type { Tracker, TrackerOptions } from 'mproxy-mold';

/** Ranges of lost messages that are told one by one. */
const MOST_TOLD = 8;

/** One session of one sender, as a receiver has it. */
export class Session {
  /** What the user sees of it. */
  readonly name: string;
  readonly tracker: Tracker;
  /** When something of it came last, by its receiver's clock. */
  heardAt = 0;
  /** Whether it ended, or its sender is gone. */
  over = false;
  /** Whether it was told that answers come from where they were not asked for. */
  strayed = false;
  /** The first ranges of messages that are lost, the number of all ranges, and where the last of them ends. */
  readonly #told: { first: number; end: number }[] = [];
  #ranges = 0;
  #lostEnd = 0;

  /**
   * @param ask where requests go
   * @param track makes what puts its messages in order, and is told of those that are lost
   */
  constructor(
    readonly id: string,
    readonly from: SocketAddress,
    readonly ask: SocketAddress,
    track: (lost: TrackerOptions['lost']) => Tracker,
  ) {
    // Whatever a packet says goes to no terminal.
    this.name = `session ${id.trim().replace(/[^ -~]/g, '?')} of ${showAddress(from)}`;
    this.tracker = track((first, count) => this.#lose(first, count));
  }

  /** What of it is lost, with the numbers; undefined where nothing is. */
  get lost(): string | undefined {
    if (this.#ranges === 0) return undefined;
    const numbers = this.#told.map(({ first, end }) =>
      end - first === 1 ? `${first}` : `${first} to ${end - 1}`,
    );
    const more = this.#ranges > MOST_TOLD ? ` and ${showCount(this.#ranges - MOST_TOLD, 'more range')}` : '';
    const all = showNumber(this.tracker.counts.lost);
    return `${this.name}: messages ${numbers.join(', ')}${more} (${all} in all)`;
  }

  /** What became of it, once it is over. */
  get summary(): string {
    const { next, counts } = this.tracker;
    const { gaps, asked, repaired, duplicates, lost } = counts;
    const figures = [
      showCount(gaps, 'gap'),
      showCount(asked, 'request'),
      `${showNumber(repaired)} repaired`,
      showCount(duplicates, 'duplicate'),
      `${showNumber(lost)} lost`,
    ];
    return `${this.name} at message ${showNumber(next - 1)}; ${figures.join(', ')}`;
  }

  #lose(first: number, count: number): void {
    if (this.#ranges === 0 || this.#lostEnd !== first) {
      this.#ranges++;
      if (this.#ranges <= MOST_TOLD) this.#told.push({ first, end: first + count });
    } else if (this.#ranges <= MOST_TOLD) this.#told.at(-1)!.end = first + count;
    this.#lostEnd = first + count;
  }
}
