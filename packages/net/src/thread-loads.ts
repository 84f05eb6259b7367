/** A thread lets others accept first while it has so many connections more than another one, and so much of that one's. */
const SLACK = 2;
const SLACK_PART = 1 / 8;
/** Of a thread that has ended. */
const GONE = -1;

/** The connections of each thread that accepts from shared listeners, in memory that these share. */
export class ThreadLoads {
  /** @param own of the thread that has this object, from 0; each thread writes its own count alone */
  constructor(
    readonly counts: Int32Array,
    private readonly own: number,
  ) {}

  add(connections: number): void {
    this.counts[this.own]! += connections;
  }

  /** A thread has ended. Its successor begins with {@link begin}. */
  end(thread: number): void {
    this.counts[thread] = GONE;
  }

  begin(): void {
    this.counts[this.own] = 0;
  }

  /** Whether this thread has clearly more connections than another one. */
  get isAhead(): boolean {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.counts.length; i++) {
      const count = this.counts[i]!;
      if (count < least && count !== GONE) least = count;
    }
    return this.counts[this.own]! > least + SLACK + least * SLACK_PART;
  }
}
