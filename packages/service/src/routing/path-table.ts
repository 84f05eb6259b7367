import { hasPrefix, matchPattern, type PathPattern } from './pattern.js';

/** What is found for a path by the longest of its prefixes. */
export interface PathEntry<T> {
  readonly pattern: PathPattern;
  readonly value: T;
}

interface Literal<T> extends PathEntry<T> {
  /** The longest other literal that this one begins with. */
  readonly shorter: Literal<T> | undefined;
}

/**
 * Finds the longest matching path: by binary search among those without parameters, one after the other among the others, which are few.
 * Among equally long ones the one without a parameter at the first difference is found.
 */
export class PathTable<T> {
  /** In the order of their texts. */
  readonly #literals: Literal<T>[] = [];
  /** The longest first. */
  readonly #patterns: PathEntry<T>[];

  /** @param entries no two with equal segments */
  constructor(entries: readonly PathEntry<T>[]) {
    const literals = entries.filter(({ pattern }) => pattern.names.length === 0);
    for (const entry of literals.toSorted((a, b) => (a.pattern.text < b.pattern.text ? -1 : 1)))
      this.#literals.push({ ...entry, shorter: this.#prefixOf(entry.pattern.text) });
    this.#patterns = entries.filter(({ pattern }) => pattern.names.length > 0).toSorted(bySpecificity);
  }

  find(path: string): PathEntry<T> | undefined {
    const literal = this.#findLiteral(path);
    const length = literal ? literal.pattern.segments.length : -1;
    for (const entry of this.#patterns) {
      if (entry.pattern.segments.length <= length) break;
      if (matchPattern(entry.pattern, path) >= 0) return entry;
    }
    return literal;
  }

  #findLiteral(path: string): Literal<T> | undefined {
    // Comparing strings takes longer than to see what one begins with.
    if (this.#literals.length === 1)
      return hasPrefix(path, this.#literals[0]!.pattern.text) ? this.#literals[0] : undefined;
    let from = 0;
    let to = this.#literals.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#literals[middle]!.pattern.text <= path) from = middle + 1;
      else to = middle;
    }
    // Whatever literal the path begins with, its predecessor begins with, too.
    let literal = this.#literals[from - 1];
    while (literal && !hasPrefix(path, literal.pattern.text)) literal = literal.shorter;
    return literal;
  }

  #prefixOf(text: string): Literal<T> | undefined {
    let shorter = this.#literals.at(-1);
    while (shorter && !text.startsWith(shorter.pattern.text)) shorter = shorter.shorter;
    return shorter;
  }
}

function bySpecificity({ pattern: a }: PathEntry<unknown>, { pattern: b }: PathEntry<unknown>): number {
  if (a.segments.length !== b.segments.length) return b.segments.length - a.segments.length;
  const i = a.segments.findIndex((segment, i) => (segment === undefined) !== (b.segments[i] === undefined));
  return i < 0 ? 0 : a.segments[i] === undefined ? 1 : -1;
}
