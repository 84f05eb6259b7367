/** A connection that can be closed while it is idle: kept, with nothing received and nothing to send. */
export interface Idler {
  /** For {@link Connections} alone: its neighbours in the list, while it is in it. */
  idleBefore: Idler | undefined;
  idleAfter: Idler | undefined;
  isIdle: boolean;
  /** Closes it: at once not among the idle ones any more. */
  closeIdle(): void;
}

/**
 * The connections of one or several servers of a thread: how many there are, how many there may be, which are idle, and whether they are
 * to end.
 */
export class Connections {
  /** Those that are served. */
  count = 0;
  /** Of them the idle ones. */
  idle = 0;
  /** Whether no connection is kept any more. */
  draining = false;
  /** Called when one of a full server ended or became idle: one more can be served. */
  readonly onRoom = new Set<() => void>();
  #longest: Idler | undefined;
  #latest: Idler | undefined;

  /** @param most connections at the same time */
  constructor(readonly most = Number.POSITIVE_INFINITY) {}

  opened(): void {
    this.count++;
  }

  closed(): void {
    this.count--;
    this.#tellRoom();
  }

  /** Whether one more can be served, be it that the longest idle one is closed for it. */
  get hasRoom(): boolean {
    return this.count < this.most || this.idle > 0;
  }

  /** Closes the longest idle one. @returns whether there was one */
  closeLongestIdle(): boolean {
    const one = this.#longest;
    one?.closeIdle();
    return one !== undefined;
  }

  becomesIdle(one: Idler): void {
    if (one.isIdle) return;
    one.isIdle = true;
    one.idleBefore = this.#latest;
    one.idleAfter = undefined;
    if (this.#latest) this.#latest.idleAfter = one;
    else this.#longest = one;
    this.#latest = one;
    this.idle++;
    if (this.count >= this.most) this.#tellRoom();
  }

  becomesBusy(one: Idler): void {
    if (!one.isIdle) return;
    const { idleBefore: before, idleAfter: after } = one;
    one.isIdle = false;
    if (before) before.idleAfter = after;
    else this.#longest = after;
    if (after) after.idleBefore = before;
    else this.#latest = before;
    one.idleBefore = undefined;
    one.idleAfter = undefined;
    this.idle--;
  }

  /** Closes the idle ones; the others end after what they do now. */
  drain(): void {
    this.draining = true;
    while (this.closeLongestIdle());
  }

  #tellRoom(): void {
    for (const listener of this.onRoom) {
      if (!this.hasRoom) return;
      listener();
    }
  }
}
