import { CLASS, COLON, findLf, HTAB, SP, TOKEN } from './bytes.js';
import { type HeadLimits, Rejection } from './rejection.js';
import { BAD_NAME, DONE, type HeadScanner, MORE, ROW, scanRejection } from './scan-results.js';

const LONG_LINE = new Rejection(414, 'request line too long');
const LONG_SECTION = new Rejection(431, 'header section too long');

/**
 * Reads a start line and the field lines behind it, as bytes come. A line is looked at when it is whole; a byte is searched for its end
 * once. Its positions are those of the bytes of the last call: at the next one the same bytes may stand elsewhere.
 */
export class HeadReader {
  /** The rows of the field lines that are read. */
  rows: number[] = [];
  /** A bit for each known name in them. */
  known = 0;
  /** Among them, the indexes of those with white space before the colon. */
  spaced: number[] = [];
  /** Where the next line begins; behind the head, when it is whole. */
  at = 0;
  /** Where the head began at the last call; its field lines, -1: its start line has not been read. */
  #start = 0;
  #section = -1;
  /** Up to here there is no end of the line at {@link at}. */
  #seen = -1;

  constructor(
    private readonly scanner: HeadScanner,
    private readonly limits: HeadLimits,
    /** Takes white space between a name and its colon for none (RFC 9112, section 5.1: in responses). */
    private readonly takesSpace = false,
  ) {}

  /** Forgets what it has read. The rows are somebody else's by now. */
  reset(): void {
    this.rows = [];
    if (this.spaced.length > 0) this.spaced = [];
    this.known = 0;
    this.#section = -1;
    this.#seen = -1;
  }

  /** The head of the last call is continued; it begins at `start` now. @returns whether it is a new one */
  resume(start: number): boolean {
    if (this.#seen < 0) {
      this.#start = start;
      this.at = start;
      return true;
    }
    const moved = start - this.#start;
    if (moved !== 0) this.#move(moved);
    return false;
  }

  #move(by: number): void {
    this.#start += by;
    this.at += by;
    this.#seen += by;
    if (this.#section >= 0) this.#section += by;
    const { rows } = this;
    for (let row = 0; row < rows.length; row += ROW) {
      if (rows[row]! >= 0) for (let i = 0; i < 4; i++) rows[row + i]! += by;
    }
  }

  get hasStartLine(): boolean {
    return this.#section >= 0;
  }

  /** The start line ends before here. */
  startLineRead(next: number): void {
    this.at = next;
    this.#section = next;
  }

  /** The LF of the line at {@link at}; -1: it has not come. @param limit of the line's bytes */
  lineEnd(bytes: Uint8Array, end: number): number {
    const lf = findLf(bytes, Math.max(this.#seen, this.at), end);
    if (lf >= 0) return lf;
    this.#seen = end;
    return -1;
  }

  /** The limit of the start line, counted from {@link at}. */
  lineTooLong(end: number): Rejection | undefined {
    return end - this.at > this.limits.line ? LONG_LINE : undefined;
  }

  /** Reads field lines. @returns what is wrong with the one at {@link at}, DONE or MORE */
  fieldLines(bytes: Uint8Array, end: number): typeof DONE | typeof MORE | Rejection {
    const most = this.#section + this.limits.section;
    const last = Math.min(end, most);
    if (this.#seen <= this.at || this.lineEnd(bytes, last) >= 0) {
      let result = this.#scan(bytes, this.at, last);
      while (result === BAD_NAME && this.takesSpace && this.#takeSpaced(bytes, last))
        result = this.#scan(bytes, this.at, last);
      if (result === DONE) return DONE;
      if (result !== MORE) return scanRejection(result);
    }
    if (end > most) return LONG_SECTION;
    this.#seen = last;
    return MORE;
  }

  #scan(bytes: Uint8Array, at: number, end: number): number {
    const { scanner, rows } = this;
    const isFirst = rows.length === 0;
    const { fields } = this.limits;
    const result = scanner.scan(bytes, at, end, isFirst ? fields : fields - rows.length / ROW);
    this.at = scanner.at;
    this.known |= scanner.known;
    this.rows = isFirst ? scanner.rows : rows.concat(scanner.rows);
    return result;
  }

  /** Reads the line at {@link at} as if there were no white space before its colon. @returns whether it is valid then */
  #takeSpaced(bytes: Uint8Array, end: number): boolean {
    const { at } = this;
    let nameEnd = at;
    while ((CLASS[bytes[nameEnd]!]! & TOKEN) !== 0) nameEnd++;
    let colon = nameEnd;
    while (bytes[colon] === SP || bytes[colon] === HTAB) colon++;
    if (nameEnd === at || bytes[colon] !== COLON) return false;
    const lineEnd = findLf(bytes, colon, end) + 1;
    const line = Buffer.concat([bytes.subarray(at, nameEnd), bytes.subarray(colon, lineEnd)]);
    const row = this.rows.length;
    if (this.#scan(line, 0, line.length) !== MORE || this.rows.length === row) {
      this.at = at;
      return false;
    }
    this.at = lineEnd;
    const space = colon - nameEnd;
    this.rows[row] = at;
    this.rows[row + 1] = nameEnd;
    this.rows[row + 2]! += at + space;
    this.rows[row + 3]! += at + space;
    this.spaced.push(row);
    return true;
  }
}
