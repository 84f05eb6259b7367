/** Slots of a level, one bit of its mask each; one slot of a level is as long as the whole level below. */
const SLOTS = 32;
/** The upper levels cover 2^50 ms. */
const LEVELS = 10;
const SLOT_MS = Array.from({ length: LEVELS + 1 }, (_, level) => SLOTS ** level);

/** A timer; it belongs to one wheel. */
export class Timer {
  /** In milliseconds of the wheel's clock; undefined: not set. */
  deadline: number | undefined;
  /** Where it is in the wheel, see {@link TimerWheel}. */
  level = 0;
  slot = 0;
  previous: Timer | undefined;
  next: Timer | undefined;

  constructor(readonly onDue: () => void) {}
}

/**
 * A hierarchical timer wheel (Varghese and Lauck, 1987, scheme 7) with a resolution of 1 ms. Setting and clearing take the same time
 * with any number of timers. It has no clock: the caller says what time it is.
 *
 * A timer is on the lowest level whose 32 slots cover both the present and its deadline. When the time of a slot of an upper level
 * begins, its timers move to lower levels. So the first slot in use of the lowest level in use is the next to be looked at.
 */
export class TimerWheel {
  /** Timers that are set. */
  size = 0;
  readonly #slots: (Timer | undefined)[] = new Array(LEVELS * SLOTS).fill(undefined);
  /** Slots in use, by level. */
  readonly #used = new Int32Array(LEVELS);
  /** All slots before this time were looked at, in whole milliseconds. */
  #now: number;

  /** @param now in milliseconds, as all times, of a clock that never goes back */
  constructor(now: number) {
    this.#now = Math.floor(now);
  }

  /** Sets a timer, or sets it to another time. It is never due before its deadline, and less than 1 ms after it. */
  set(timer: Timer, deadline: number): void {
    this.clear(timer);
    timer.deadline = deadline;
    this.size++;
    this.#insert(timer);
  }

  clear(timer: Timer): void {
    if (timer.deadline === undefined) return;
    timer.deadline = undefined;
    this.size--;
    this.#remove(timer);
  }

  /** How long {@link take} certainly returns nothing, in milliseconds; infinite if no timer is set. */
  wait(now: number): number {
    const level = this.#lowest();
    return level < 0 ? Number.POSITIVE_INFINITY : Math.max(0, this.#begin(level) - now);
  }

  /** Clears a timer that is due. @returns undefined: none is due */
  take(now: number): Timer | undefined {
    for (;;) {
      const level = this.#lowest();
      const begin = level < 0 ? Number.POSITIVE_INFINITY : this.#begin(level);
      if (begin > now) {
        this.#now = Math.max(this.#now, Math.floor(now));
        return undefined;
      }
      this.#now = begin;
      const slot = level * SLOTS + this.#first(level);
      const first = this.#slots[slot]!;
      if (level === 0) {
        this.clear(first);
        return first;
      }
      for (let timer: Timer | undefined = first; timer; timer = this.#slots[slot]) {
        this.#remove(timer);
        this.#insert(timer);
      }
    }
  }

  #insert(timer: Timer): void {
    const at = Math.max(Math.ceil(timer.deadline!), this.#now);
    let level = 0;
    while (Math.floor(at / SLOT_MS[level + 1]!) !== Math.floor(this.#now / SLOT_MS[level + 1]!)) level++;
    const slot = Math.floor(at / SLOT_MS[level]!) % SLOTS;
    const next = this.#slots[level * SLOTS + slot];
    timer.level = level;
    timer.slot = slot;
    timer.previous = undefined;
    timer.next = next;
    if (next) next.previous = timer;
    this.#slots[level * SLOTS + slot] = timer;
    this.#used[level]! |= 1 << slot;
  }

  #remove({ level, slot, previous, next }: Timer): void {
    if (next) next.previous = previous;
    if (previous) previous.next = next;
    else {
      this.#slots[level * SLOTS + slot] = next;
      if (!next) this.#used[level]! &= ~(1 << slot);
    }
  }

  /** The lowest level in use; -1: none is. */
  #lowest(): number {
    if (this.size === 0) return -1;
    let level = 0;
    while (this.#used[level] === 0) level++;
    return level;
  }

  /** The first slot in use of a level. */
  #first(level: number): number {
    const mask = this.#used[level]!;
    return 31 - Math.clz32(mask & -mask);
  }

  /** When the first slot in use of a level begins. */
  #begin(level: number): number {
    const length = SLOT_MS[level + 1]!;
    return Math.floor(this.#now / length) * length + this.#first(level) * SLOT_MS[level]!;
  }
}
