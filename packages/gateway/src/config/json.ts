import { type Position, SyntaxProblem } from './syntax-problem.js';

/** Lists and objects may be within each other up to this depth. */
const MAX_DEPTH = 100;
/** White space (RFC 8259, section 2). */
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they must be escaped (RFC 8259, section 7)
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORDS = { true: true, false: false, null: null };

/**
 * Parses JSON (RFC 8259), strictly. JSON.parse says not where an error is in all versions of Node, and takes the last of equal names.
 * @throws SyntaxProblem with the line and column
 */
export function parseJson(text: string): unknown {
  return new JsonParser(text).document();
}

class JsonParser {
  #at = 0;

  constructor(private readonly text: string) {}

  document(): unknown {
    this.#at = this.text.startsWith('\ufeff') ? 1 : 0;
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.text.length) this.#fail('the end of the document');
    return value;
  }

  #value(depth: number): unknown {
    this.#space();
    const next = this.text[this.#at];
    if (depth > MAX_DEPTH) throw this.#problem(`more than ${MAX_DEPTH} levels`);
    if (next === '{') return this.#object(depth);
    if (next === '[') return this.#list(depth);
    if (next === '"') return this.#string();
    const number = this.#match(NUMBER);
    if (number !== undefined) return Number(number);
    for (const [word, value] of Object.entries(WORDS))
      if (this.text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    return this.#fail('a value');
  }

  #object(depth: number): Record<string, unknown> {
    const entries = new Map<string, unknown>();
    this.#at++;
    this.#space();
    if (this.#take('}')) return {};
    do {
      this.#space();
      const start = this.#at;
      if (this.text[start] !== '"')
        this.#fail(entries.size > 0 ? 'a name in quotes' : 'a name in quotes, or }');
      const name = this.#string();
      if (entries.has(name)) throw this.#problem(`the name ${JSON.stringify(name)} is there twice`, start);
      this.#space();
      if (!this.#take(':')) this.#fail('a colon');
      entries.set(name, this.#value(depth + 1));
      this.#space();
    } while (this.#take(','));
    if (!this.#take('}')) this.#fail('a comma or }');
    // Unlike an assignment, this makes a property of __proto__, too.
    return Object.fromEntries(entries);
  }

  #list(depth: number): unknown[] {
    const values: unknown[] = [];
    this.#at++;
    this.#space();
    if (this.#take(']')) return values;
    do {
      values.push(this.#value(depth + 1));
      this.#space();
    } while (this.#take(','));
    if (!this.#take(']')) this.#fail('a comma or ]');
    return values;
  }

  #string(): string {
    const start = this.#at;
    const found = this.#match(STRING);
    if (found !== undefined) return JSON.parse(found);
    throw this.#problem('a string without its end on the line, or with an invalid escape', start);
  }

  #take(character: string): boolean {
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.text) ?? [];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #fail(expected: string): never {
    const [next = ''] = /^(?:\w+|[^\w])/u.exec(this.text.slice(this.#at, this.#at + 20)) ?? [];
    const found = next === '' ? 'the end of the document' : JSON.stringify(next);
    throw this.#problem(`expected ${expected}, not ${found}`);
  }

  #problem(why: string, at = this.#at): SyntaxProblem {
    return new SyntaxProblem(why, positionOf(this.text, at));
  }
}

/** Both count from 1; columns are characters. */
function positionOf(text: string, at: number): Position {
  const lines = text.slice(0, at).split('\n');
  return { line: lines.length, column: [...lines.at(-1)!].length + 1 };
}
