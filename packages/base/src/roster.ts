/** What can be in a {@link Roster}, in one at a time. */
export interface Listed {
  /** For the roster alone: its place in it. */
  slot?: number | undefined;
}

/**
 * A set of objects that come and go. A Set is rebuilt every so often then, and V8 keeps its former tables, and with them all that was in
 * them, until a full garbage collection once one of them was promoted: where connections come and go by the thousand that costs as much as
 * to serve them.
 */
export class Roster<T extends Listed> {
  readonly #all: T[] = [];

  get size(): number {
    return this.#all.length;
  }

  add(one: T): this {
    if (one.slot === undefined) one.slot = this.#all.push(one) - 1;
    return this;
  }

  /** @returns whether it was there */
  delete(one: T): boolean {
    const { slot } = one;
    if (slot === undefined) return false;
    const last = this.#all.pop()!;
    if (last !== one) {
      this.#all[slot] = last;
      last.slot = slot;
    }
    one.slot = undefined;
    return true;
  }

  /** Calls back for all, the last first. Meanwhile any may be removed, or added: those are not among them. */
  each(call: (one: T) => void): void {
    for (let i = this.#all.length - 1; i >= 0; i--) {
      const one = this.#all[i];
      if (one) call(one);
    }
  }
}
