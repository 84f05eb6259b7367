/** A range of missing messages. */
export interface Gap {
  /** The first sequence number, and the one after the last. */
  first: number;
  end: number;
  /** When it is requested next, in milliseconds. */
  due: number;
  /** How often it was requested, and how often of that because of a timeout. */
  tries: number;
  late: number;
  /** When its timeout began (its first request, or the last before a part came), and its last request. */
  since: number;
  askedAt: number;
  /** Whether it is given up when due: its timeout ends then. */
  last: boolean;
}

/** How missing ranges are requested. */
export interface AskRules {
  /** Maximum messages per request, 1 to 65,535. */
  chunk: number;
  /** Maximum messages outstanding, and how many a range counts for at least. */
  budget: number;
  least: number;
  /** Requests before this time are lost if unanswered: a later one was answered. */
  passed: number;
  /** When a requested message was last received. */
  heard: number;
  /** Milliseconds until a range is requested again after this many timeouts. */
  patience(late: number): number;
  /** Milliseconds after {@link Gap.since} at which a range is given up. */
  timeout: number;
}

export interface AskEvents {
  request: (first: number, count: number) => void;
  /** A range timed out for the first time. */
  late: () => void;
  lost: (first: number, end: number) => void;
}

/** The missing ranges up to the last known number, in order. */
export class Gaps {
  readonly #list: Gap[] = [];

  get empty(): boolean {
    return this.#list.length === 0;
  }

  /** The first missing number, if any. */
  get first(): number | undefined {
    return this.#list[0]?.first;
  }

  /** Adds a range that overlaps no other. It extends an adjacent previous range not requested yet. */
  add(first: number, end: number, due: number): void {
    const place = this.#find(first);
    const before = this.#list[place - 1];
    if (before?.end === first && before.tries === 0) before.end = end;
    else
      this.#list.splice(place, 0, { first, end, due, tries: 0, late: 0, since: 0, askedAt: 0, last: false });
  }

  /**
   * Removes a range. Of a gap requested with it, the part after is still expected, the part before probably
   * lost.
   * @param soon when to request the part before again, and `later` the part after
   * @param visit is called with each removed part and its gap
   */
  take(
    first: number,
    end: number,
    soon: number,
    later: number,
    visit: (from: number, to: number, gap: Gap) => void,
  ): void {
    let i = this.#find(first);
    while (i < this.#list.length && this.#list[i]!.first < end) {
      const gap = this.#list[i]!;
      const [from, to] = [Math.max(first, gap.first), Math.min(end, gap.end)];
      visit(from, to, gap);
      const left: Gap[] = [];
      const { tries, due, since, askedAt } = gap;
      const asked = tries > 0;
      const rest = { ...gap, last: false };
      if (gap.first < from) left.push({ ...rest, end: from, due: asked ? Math.min(due, soon) : due });
      if (to < gap.end)
        left.push({
          ...rest,
          first: to,
          due: asked ? Math.max(due, later) : due,
          since: asked ? askedAt : since,
        });
      this.#list.splice(i, 1, ...left);
      i += left.length;
    }
  }

  /** An answer arrived but cannot be held: gaps in this range count as not requested. */
  refuse(first: number, end: number): void {
    for (let i = this.#find(first); i < this.#list.length && this.#list[i]!.first < end; i++)
      Object.assign(this.#list[i]!, { tries: 0, last: false });
  }

  /**
   * Requests due gaps within the budget, and gives up those that timed out; if nothing was received since the
   * timeout of one began, also gaps that were due by then and not requested for lack of budget.
   * @returns when a gap is due next, as far as known; gaps beyond the budget are not looked at
   */
  ask(now: number, rules: AskRules, events: AskEvents): number {
    const { chunk, budget, least, heard, patience, timeout } = rules;
    let nextDue = Number.POSITIVE_INFINITY;
    let outstanding = 0;
    /** Unrequested gaps that were due by this time are lost. */
    let lostUntil = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.#list.length; i++) {
      const gap = this.#list[i]!;
      if (gap.last ? gap.due <= now : gap.tries === 0 && gap.due <= lostUntil) {
        if (gap.last && heard < gap.since) lostUntil = Math.max(lostUntil, gap.since);
        this.#list.splice(i--, 1);
        events.lost(gap.first, gap.end);
        continue;
      }
      if (isDue(gap, now, rules)) {
        const count = Math.min(gap.end - gap.first, chunk);
        // Gaps beyond the budget wait until a request is answered or given up.
        if (outstanding > 0 && outstanding + Math.max(count, least) > budget) break;
        if (gap.tries > 0 && gap.due <= now && gap.late++ === 0) events.late();
        this.#cut(i, count);
        // A gap that the budget delayed for longer than the timeout starts anew.
        if (gap.tries === 0 || now >= gap.since + timeout) {
          gap.tries = 0;
          gap.since = now;
        }
        gap.tries++;
        gap.askedAt = now;
        gap.due = Math.min(now + patience(gap.late), gap.since + timeout);
        gap.last = gap.due === gap.since + timeout;
        events.request(gap.first, count);
      }
      if (gap.tries > 0) outstanding += Math.max(gap.end - gap.first, least);
      nextDue = Math.min(nextDue, gap.due);
    }
    return nextDue;
  }

  /** Shortens a gap to `count` messages; the rest becomes a gap of its own. */
  #cut(i: number, count: number): void {
    const gap = this.#list[i]!;
    if (gap.end - gap.first <= count) return;
    this.#list.splice(i + 1, 0, { ...gap, first: gap.first + count });
    gap.end = gap.first + count;
  }

  /** The index of the first gap that ends after a number. */
  #find(number: number): number {
    let [low, high] = [0, this.#list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#list[middle]!.end > number) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Whether a gap is due, or was requested and can no longer be answered. */
function isDue({ tries, due, askedAt }: Gap, now: number, { passed }: AskRules): boolean {
  return due <= now || (tries > 0 && askedAt < passed);
}
