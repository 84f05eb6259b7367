import { COLON, findLf, isText, LF, text, writeBytes, writeEnd, writeText } from './bytes.js';
import { isFieldValue, isToken } from './field-rules.js';
import { keptCopy } from './kept-copy.js';
import { knownText, OTHER_FORWARDED } from './known-names.js';
import { GONE, ROW } from './scan-results.js';

/** A request line, without its version. */
interface StartLine {
  readonly method: string;
  readonly target: { readonly path: string; readonly query: string };
}

/** Instead of a line's start in a row: the line is in {@link Fields}' own strings; it is one of its blocks. */
const OWN = -1;
const BLOCK = -2;
/** The number of the name of a block: it has many. */
const NO_NAME = -1;

/** Bytes of a request line and a Host besides method, path, query and authority: `  HTTP/1.1`, `Host: `, a line end, some white space. */
const START_REST = 32;

const NO_BYTES = new Uint8Array(0);
const NO_NAMES: readonly string[] = [];

/**
 * The field lines of a message, in their order. Names are in lower case; values are strings of characters up to U+00FF, one for each
 * byte. What comes from a peer stays in its bytes, which are borrowed, until it is asked for or {@link keep} is called.
 */
export class Fields {
  #bytes: Uint8Array;
  readonly #rows: number[];
  #own: string[] | undefined;
  #blocks: Uint8Array[] | undefined;
  /** The block behind all rows, as nearly always there is one at most. */
  #last: Uint8Array | undefined;
  #known: number;
  #withheld: string[] | undefined;
  /** Where a request line of HTTP/1.1 begins in the bytes, and the line of Host behind it ends; -1: they are not there as they are sent on. */
  #start = -1;
  #startEnd = 0;
  #line: StartLine | undefined;
  #authority = '';

  /**
   * @param bytes borrowed
   * @param rows of a HeadScanner; given away
   * @param known a bit for each known name in them
   */
  constructor(bytes: Uint8Array = NO_BYTES, rows: number[] = [], known = 0) {
    this.#bytes = bytes;
    this.#rows = rows;
    this.#known = known;
  }

  /** @throws a RangeError that names an invalid name or value */
  static of(source: Record<string, string> | Iterable<readonly [string, string]>): Fields {
    const fields = new Fields();
    const pairs = Symbol.iterator in source ? source : Object.entries(source);
    for (const [name, value] of pairs as Iterable<readonly [string, string]>) fields.append(name, value);
    return fields;
  }

  /**
   * A bit for each known name (see known-names.ts) that may be here, in either spelling. Blocks of {@link appendLines} have none. A bit
   * that is not set saves looking.
   */
  get known(): number {
    return this.#known;
  }

  /** The value of a field; of several lines, one list: joined by `, `, cookies by `; `. Undefined: there is none. */
  get(name: string): string | undefined {
    const lower = name.toLowerCase();
    let value: string | undefined;
    for (let row = this.#next(lower, 0); row >= 0; row = this.#next(lower, row + ROW)) {
      const one = this.#value(row);
      value = value === undefined ? one : `${value}${lower === 'cookie' ? '; ' : ', '}${one}`;
    }
    return value;
  }

  /** The value of each line of a field. */
  values(name: string): string[] {
    const lower = name.toLowerCase();
    const values: string[] = [];
    for (let row = this.#next(lower, 0); row >= 0; row = this.#next(lower, row + ROW))
      values.push(this.#value(row));
    return values;
  }

  has(name: string): boolean {
    return this.#next(name.toLowerCase(), 0) >= 0;
  }

  /** Replaces all lines of a field by one, in the place of the first. @throws a RangeError that names an invalid name or value */
  set(name: string, value: string): void {
    const lower = valid(name, value);
    const first = this.#next(lower, 0);
    if (first < 0) {
      this.#add(lower, value);
      return;
    }
    this.#removeFrom(lower, first + ROW);
    this.#own ??= [];
    this.#rows[first] = OWN;
    this.#rows[first + 1] = this.#own.push(lower, value) - 2;
  }

  /** Adds a line. @throws a RangeError that names an invalid name or value */
  append(name: string, value: string): void {
    this.#add(valid(name, value), value);
  }

  delete(name: string): void {
    this.#removeFrom(name.toLowerCase(), 0);
  }

  /**
   * Removes a field also where `-` in its name is spelt `_`: to CGI and its like both are one. The blocks of {@link appendLines}, which
   * no peer has sent, are left alone. The name is {@link withheld} then.
   * @param keeps whether the name as it is given stays
   */
  deleteSpellings(name: string, keeps = false): void {
    const lower = name.toLowerCase();
    const folded = lower.replaceAll('_', '-');
    this.#withheld ??= [];
    this.#withheld.push(name);
    const rows = this.#rows;
    for (let row = 0; row < rows.length; row += ROW) {
      if (this.#nameLength(row) !== folded.length) continue;
      const found = this.#name(row);
      if (found.replaceAll('_', '-') === folded && !(keeps && found === lower)) rows[row] = GONE;
    }
  }

  /** Names that {@link deleteSpellings} was called for: this side decides upon them, so that no trailer may bring them. */
  get withheld(): readonly string[] {
    return this.#withheld ?? NO_NAMES;
  }

  /** Removes the known names whose bits are given, in either spelling. */
  deleteKnown(mask: number): void {
    if ((this.#known & mask) === 0) return;
    const rows = this.#rows;
    for (let row = 0; row < rows.length; row += ROW)
      if ((mask & (1 << (rows[row + 4]! & 31))) !== 0) rows[row] = GONE;
    this.#known &= ~mask;
  }

  /** Writes a line of the bytes anew: it is not as it should be sent. @param row its index among the rows */
  respell(row: number): void {
    this.#own ??= [];
    const index = this.#own.push(this.#name(row), this.#value(row)) - 2;
    this.#rows[row] = OWN;
    this.#rows[row + 1] = index;
  }

  /**
   * Adds lines as they are sent, each with its CRLF: they were made once, of valid fields, for many messages. Not copied. There may be none.
   * @throws a RangeError if the last one has no end
   */
  appendLines(lines: Uint8Array): void {
    if (lines.length === 0) return;
    if (lines[lines.length - 1] !== LF) throw new RangeError('field lines without an end');
    this.#placeLast();
    this.#last = lines;
  }

  /** Gives the last block a row, so that another one can follow. */
  #placeLast(): void {
    if (!this.#last) return;
    this.#blocks ??= [];
    this.#rows.push(BLOCK, this.#blocks.push(this.#last) - 1, 0, 0, NO_NAME);
    this.#last = undefined;
  }

  *[Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    this.#placeLast();
    this.#openBlocks();
    for (let row = 0; row < this.#rows.length; row += ROW)
      if (this.#rows[row] !== GONE) yield [this.#name(row), this.#value(row)];
  }

  /** For a parser: the request line and Host, which has the first row, are in the bytes as they would be written. */
  setStart(start: number, end: number, line: StartLine, authority: string): void {
    this.#start = start;
    this.#startEnd = end;
    this.#line = line;
    this.#authority = authority;
  }

  /** Whether the bytes have this request line and Host, in no more space than they need, and {@link writeWithStart} writes them. */
  hasStart(method: string, path: string, query: string, authority: string): boolean {
    const line = this.#line;
    if (this.#start < 0 || line === undefined) return false;
    const { target } = line;
    if (path !== target.path || query !== target.query || method !== line.method) return false;
    if (authority !== this.#authority) return false;
    const needed = method.length + path.length + query.length + authority.length;
    return this.#startEnd - this.#start <= needed + START_REST;
  }

  /** Copies what is borrowed. */
  keep(): void {
    const rows = this.#rows;
    let first = this.#start;
    let end = this.#startEnd;
    for (let row = 0; row < rows.length; row += ROW) {
      if (rows[row]! < 0) continue;
      if (first < 0) first = rows[row]!;
      end = rows[row + 3]!;
    }
    if (first < 0) return;
    const copied = keptCopy(this.#bytes, first, end);
    this.#bytes = copied.bytes;
    const by = copied.moved;
    if (this.#start >= 0) {
      this.#start += by;
      this.#startEnd += by;
    }
    for (let row = 0; by !== 0 && row < rows.length; row += ROW)
      if (rows[row]! >= 0) for (let i = row; i < row + 4; i++) rows[i]! += by;
  }

  /** The bytes that {@link write} writes. */
  get size(): number {
    const rows = this.#rows;
    let size = this.#last ? this.#last.length : 0;
    for (let row = 0; row < rows.length; row += ROW) {
      const start = rows[row]!;
      if (start >= 0) size += rows[row + 3]! - start + 2;
      else if (start === OWN) size += this.#name(row).length + this.#value(row).length + 4;
      else if (start === BLOCK) size += this.#blocks![rows[row + 1]!]!.length;
    }
    return size;
  }

  /** Writes the request line and Host, if {@link hasStart}, and the lines. @returns the offset behind them */
  writeWithStart(target: Uint8Array, from: number): number {
    const rows = this.#rows;
    let row = ROW;
    let end = this.#startEnd;
    for (; rows[row] === end + 2; row += ROW) end = rows[row + 3]!;
    const at = writeEnd(target, writeBytes(target, from, this.#bytes, this.#start, end));
    return this.write(target, at, row);
  }

  /**
   * Writes the lines, each with its CRLF; without the empty line.
   * @param first the row to begin with
   * @returns the offset behind them
   */
  write(target: Uint8Array, from: number, first = 0): number {
    const rows = this.#rows;
    let at = from;
    for (let row = first; row < rows.length; row += ROW) {
      const start = rows[row]!;
      if (start >= 0) {
        // Lines that follow each other are one run.
        let end = rows[row + 3]!;
        while (rows[row + ROW] === end + 2) {
          row += ROW;
          end = rows[row + 3]!;
        }
        at = writeEnd(target, writeBytes(target, at, this.#bytes, start, end));
      } else if (start === OWN) {
        at = writeText(target, at, this.#name(row));
        target[at++] = 0x3a;
        target[at++] = 0x20;
        at = writeEnd(target, writeText(target, at, this.#value(row)));
      } else if (start === BLOCK) at = writeBytes(target, at, this.#blocks![rows[row + 1]!]!);
    }
    if (this.#last) at = writeBytes(target, at, this.#last);
    return at;
  }

  #add(lower: string, value: string): void {
    const id = knownText(lower);
    if (id !== 0) this.#known |= 1 << id;
    this.#placeLast();
    this.#own ??= [];
    this.#rows.push(OWN, this.#own.push(lower, value) - 2, 0, 0, id);
  }

  #removeFrom(lower: string, from: number): void {
    for (let row = this.#next(lower, from); row >= 0; row = this.#next(lower, row + ROW))
      this.#rows[row] = GONE;
  }

  /** The first row of a name from a row on; -1: there is none. */
  #next(lower: string, from: number): number {
    this.#placeLast();
    if (this.#blocks?.some((lines) => hasLine(lines, lower))) this.#openBlocks();
    const id = knownText(lower);
    if (id !== 0 && (this.#known & (1 << id)) === 0) return -1;
    const rows = this.#rows;
    for (let row = from; row < rows.length; row += ROW) {
      if (rows[row] === GONE) continue;
      const found = rows[row + 4]!;
      // The number of a known name says it all, except that one is misspelt, or which other one it is.
      if (id !== 0 ? found === id : (found === 0 || found >= OTHER_FORWARDED) && this.#isNamed(row, lower))
        return row;
    }
    return -1;
  }

  #isNamed(row: number, lower: string): boolean {
    const start = this.#rows[row]!;
    if (start >= 0) return isText(this.#bytes, start, this.#rows[row + 1]!, lower);
    return this.#own![this.#rows[row + 1]!] === lower;
  }

  #name(row: number): string {
    const start = this.#rows[row]!;
    if (start >= 0) return text(this.#bytes, start, this.#rows[row + 1]!).toLowerCase();
    return this.#own![this.#rows[row + 1]!]!;
  }

  /** Of a line that is gone, and of a block, 0. */
  #nameLength(row: number): number {
    const start = this.#rows[row]!;
    if (start >= 0) return this.#rows[row + 1]! - start;
    return start === OWN ? this.#own![this.#rows[row + 1]!]!.length : 0;
  }

  #value(row: number): string {
    const rows = this.#rows;
    if (rows[row]! >= 0) return text(this.#bytes, rows[row + 2]!, rows[row + 3]!);
    return this.#own![rows[row + 1]! + 1]!;
  }

  /** Makes rows of the blocks: somebody looks for names. */
  #openBlocks(): void {
    const blocks = this.#blocks;
    if (!blocks) return;
    this.#blocks = undefined;
    const rows = this.#rows.splice(0);
    for (let row = 0; row < rows.length; row += ROW) {
      if (rows[row] === BLOCK) this.#addLines(blocks[rows[row + 1]!]!);
      else this.#rows.push(...rows.slice(row, row + ROW));
    }
  }

  #addLines(lines: Uint8Array): void {
    for (const line of text(lines, 0, lines.length).split('\r\n')) {
      const parts = /^([^:]+):[ \t]*(.*?)[ \t]*$/.exec(line);
      if (parts) this.append(parts[1]!, parts[2]!);
    }
  }
}

/** Whether one of these lines has a name. */
function hasLine(lines: Uint8Array, lower: string): boolean {
  const { length } = lower;
  for (let at = 0; at < lines.length; at = findLf(lines, at, lines.length) + 1)
    if (lines[at + length] === COLON && isText(lines, at, at + length, lower)) return true;
  return false;
}

/** The name in lower case. */
function valid(name: string, value: string): string {
  if (!isToken(name)) throw new RangeError(`invalid field name ${JSON.stringify(name)}`);
  if (!isFieldValue(value)) throw new RangeError(`invalid value of field ${name}: ${JSON.stringify(value)}`);
  return name.toLowerCase();
}
