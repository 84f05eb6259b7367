/**
 * Regular expressions for paths, which anybody may send. The time to match one grows at most with the square of its length: only single
 * characters and classes are repeated, and one of these repetitions at most overlaps with what follows it, so that it is tried at each of
 * its possible ends.
 */

/** The longest path that is matched, in characters. */
export const REGEX_PATH_LIMIT = 1024;

/** A quantifier, an escape, a class, a group, or a character. */
const TOKEN =
  /(?<quantifier>(?:[*+?]|\{\d*,?\d*\})\??)|(?<atom>\\(?:[dDwWsS]|x[0-9A-Fa-f]{2}|[^A-Za-z0-9])|\[(?:\\.|[^\]\\])*\]|[^\\()[\]{}|^$*+?])|(?<open>\((?:\?:|\?<[A-Za-z_]\w*>)?(?!\?))|(?<close>\))|(?<mark>[|^$])/suy;

type Token = NonNullable<RegExpExecArray['groups']>;

/** What is wrong with a regular expression for paths; undefined: nothing. */
export function regexProblem(source: string): string | undefined {
  try {
    new RegExp(source, 'u');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return error.message.replace(/^Invalid regular expression: .*\/u?: /, '');
  }
  const tokens = tokensOf(source);
  if (typeof tokens === 'string') return tokens;
  // Unanchored, it is tried at every position.
  let overlapping = isAnchored(tokens) ? 0 : 1;
  for (const [i, { quantifier }] of tokens.entries()) {
    if (quantifier === undefined || /^(\?|\{\d+\})/.test(quantifier)) continue;
    const { atom } = tokens[i - 1]!;
    if (atom === undefined) return 'a group is repeated, which may take for ever; repeat single characters';
    if (!isSeparated(atom, tokens, i + 1)) overlapping++;
  }
  return overlapping > 1
    ? 'its repetitions overlap, which may take for ever; begin it with ^, and use [^/]+ before a / instead of .*'
    : undefined;
}

/** @throws SyntaxError see {@link regexProblem} */
export function compileRegex(source: string): RegExp {
  const problem = regexProblem(source);
  if (problem !== undefined) throw new SyntaxError(`${source}: ${problem}`);
  return new RegExp(source, 'u');
}

function tokensOf(source: string): Token[] | string {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const at = TOKEN.lastIndex;
    const found = TOKEN.exec(source);
    if (!found) return `${source.slice(at, at + 4)} cannot be used here`;
    tokens.push(found.groups!);
  }
  return tokens;
}

/** Whether it begins with ^, which is meant for the whole of it: `^a|b` is not. */
function isAnchored(tokens: Token[]): boolean {
  let depth = 0;
  for (const { open, close, mark } of tokens) {
    if (open !== undefined) depth++;
    else if (close !== undefined) depth--;
    else if (mark === '|' && depth === 0) return false;
  }
  return tokens[0]?.mark === '^';
}

/** Whether what follows a repetition, perhaps behind the ends of groups, is a character that it cannot match, or the end. */
function isSeparated(atom: string, tokens: Token[], from: number): boolean {
  let at = from;
  while (tokens[at]?.close !== undefined && tokens[at + 1]?.quantifier === undefined) at++;
  const next = tokens[at];
  if (next === undefined || (next.mark === '$' && at === tokens.length - 1)) return true;
  const optional = /^[*?{]/.test(tokens[at + 1]?.quantifier ?? '');
  if (next.atom === undefined || optional || /^(\[|\\[dDwWsS]|\.)/.test(next.atom)) return false;
  const [character] = next.atom.startsWith('\\x')
    ? [String.fromCharCode(Number.parseInt(next.atom.slice(2), 16))]
    : next.atom.slice(-1);
  return !new RegExp(`^${atom}$`, 'su').test(character!);
}
