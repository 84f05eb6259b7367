/** A range of messages that is missing. */
export interface Gap {
  /** Its first sequence number, and the one after its last. */
  first: number;
  end: number;
  /** When it is to be asked for next, in milliseconds. */
  due: number;
  /** How often it was asked for; and how often that was because nothing was heard in time. */
  tries: number;
  late: number;
  /** When its time began: it was asked for first, or last before a part of it came; and when it was asked for last. */
  since: number;
  askedAt: number;
  /** Whether it is given up when it is due: it was asked for until its time was over. */
  last: boolean;
}

/** How missing ranges are asked for. */
export interface AskRules {
  /** Messages of one request at most; 1 to 65,535. */
  chunk: number;
  /** Messages that may be asked for and not yet come; and how many a range counts for at least. */
  budget: number;
  least: number;
  /** What was asked for before this and has not come is lost: what was asked for later has come. */
  passed: number;
  /** When a message came last that was asked for. */
  heard: number;
  /** Milliseconds until a range is asked for again that was late so many times. */
  patience(late: number): number;
  /** Milliseconds after {@link Gap.since} at which a range is given up. */
  timeout: number;
}

export interface AskEvents {
  request: (first: number, count: number) => void;
  /** Nothing was heard of a range in time. */
  late: () => void;
  lost: (first: number, end: number) => void;
}

/** What is missing between the first and the last number that is known, in order. */
export class Gaps {
  readonly #list: Gap[] = [];

  get empty(): boolean {
    return this.#list.length === 0;
  }

  /** The first number that is missing; undefined when none is. */
  get first(): number | undefined {
    return this.#list[0]?.first;
  }

  /** Adds a range that overlaps none that is there; one gap with the range before it, if that was not asked for yet. */
  add(first: number, end: number, due: number): void {
    const place = this.#find(first);
    const before = this.#list[place - 1];
    if (before?.end === first && before.tries === 0) before.end = end;
    else
      this.#list.splice(place, 0, { first, end, due, tries: 0, late: 0, since: 0, askedAt: 0, last: false });
  }

  /**
   * Takes out what of a range is missing. Of what was asked for with it, the rest is under way, and what was to come
   * before it is probably lost.
   * @param soon when to ask again for the latter, and `later` for the former
   * @param visit is told of each part, and how its gap was asked for
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

  /** The answer came, but cannot be used yet: what of a range is missing is as if it had not been asked for. */
  refuse(first: number, end: number): void {
    for (let i = this.#find(first); i < this.#list.length && this.#list[i]!.first < end; i++)
      Object.assign(this.#list[i]!, { tries: 0, last: false });
  }

  /**
   * Asks for what is due, as far as the budget goes, and gives up what was asked for too long; where nothing at all
   * came since that was asked for, with it what could only not be asked for then as the budget left it no room.
   * @returns when something is due next, as far as is known; what the budget leaves no room for is not looked at
   */
  ask(now: number, rules: AskRules, events: AskEvents): number {
    const { chunk, budget, least, heard, patience, timeout } = rules;
    let again = Number.POSITIVE_INFINITY;
    let flying = 0;
    /** What was due by then is lost. */
    let vain = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.#list.length; i++) {
      const gap = this.#list[i]!;
      if (gap.last ? gap.due <= now : gap.tries === 0 && gap.due <= vain) {
        if (gap.last && heard < gap.since) vain = Math.max(vain, gap.since);
        this.#list.splice(i--, 1);
        events.lost(gap.first, gap.end);
        continue;
      }
      if (isToAsk(gap, now, rules)) {
        const count = Math.min(gap.end - gap.first, chunk);
        // What the budget leaves no room for waits for an answer, or for one that does not come.
        if (flying > 0 && flying + Math.max(count, least) > budget) break;
        if (gap.tries > 0 && gap.due <= now && gap.late++ === 0) events.late();
        this.#cut(i, count);
        // What had to wait for longer than the timeout was not in vain, and begins anew.
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
      if (gap.tries > 0) flying += Math.max(gap.end - gap.first, least);
      again = Math.min(again, gap.due);
    }
    return again;
  }

  /** Leaves so many messages to a gap; what follows becomes one of its own. */
  #cut(i: number, count: number): void {
    const gap = this.#list[i]!;
    if (gap.end - gap.first <= count) return;
    this.#list.splice(i + 1, 0, { ...gap, first: gap.first + count });
    gap.end = gap.first + count;
  }

  /** The place of the first gap that ends after a number. */
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

/** Whether it is due for the first time, or was asked for and no answer can come any more. */
function isToAsk({ tries, due, askedAt }: Gap, now: number, { passed }: AskRules): boolean {
  return due <= now || (tries > 0 && askedAt < passed);
}
