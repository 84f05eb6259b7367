import { CLASS, COLON, CR, HTAB, LF, SP, TOKEN } from './bytes.js';
import { knownName } from './known-names.js';
import {
  BAD_END,
  BAD_NAME,
  BAD_VALUE,
  DONE,
  FOLDED,
  type HeadScanner,
  judged,
  MORE,
  ROW,
  TOO_MANY,
} from './scan-results.js';

/** The scanner where there is no WebAssembly with vectors, and the measure of the other one. */
export class JsScanner implements HeadScanner {
  at = 0;
  known = 0;
  rows: number[] = [];
  /** The rows while they are found: it has room, and `slice` makes an array of the right size. */
  readonly #found: number[] = [];

  scan(bytes: Uint8Array, from: number, end: number, limit: number): number {
    const found = this.#found;
    let count = 0;
    let at = from;
    let known = 0;
    let result: number;
    for (;;) {
      const start = at;
      this.at = start;
      while (at < end && (CLASS[bytes[at]!]! & TOKEN) !== 0) at++;
      const nameEnd = at;
      if (at >= end) {
        result = MORE;
        break;
      }
      if (bytes[at] !== COLON || at === start) {
        if (at === start && bytes[at] === CR && bytes[at + 1] === LF && at + 1 < end) {
          this.at = at + 2;
          result = DONE;
        } else result = judged(bytes, at, end, wrongName(bytes, start, at));
        break;
      }
      at++;
      while (at < end && (bytes[at] === SP || bytes[at] === HTAB)) at++;
      const valueStart = at;
      at = valueEndOf(bytes, at, end);
      if (at + 1 >= end || bytes[at] !== CR || bytes[at + 1] !== LF) {
        const isEnd = bytes[at] === CR || bytes[at] === LF;
        result = judged(bytes, at, end, isEnd ? BAD_END : BAD_VALUE);
        break;
      }
      if (count >= limit * ROW) {
        result = TOO_MANY;
        break;
      }
      let valueEnd = at;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB))
        valueEnd--;
      at += 2;
      const id = knownName(bytes, start, nameEnd);
      if (id !== 0) known |= 1 << (id & 31);
      found[count] = start;
      found[count + 1] = nameEnd;
      found[count + 2] = valueStart;
      found[count + 3] = valueEnd;
      found[count + 4] = id;
      count += ROW;
    }
    this.known = known;
    this.rows = found.slice(0, count);
    return result;
  }
}

/** The first byte that is no part of a field value: HTAB, 0x20 to 0x7E, 0x80 to 0xFF. */
function valueEndOf(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  for (; at < end; at++) {
    const byte = bytes[at]!;
    if (byte < SP ? byte !== HTAB : byte === 0x7f) break;
  }
  return at;
}

/** What is wrong with a line in whose name a byte is no part of a token, or that has none. */
function wrongName(bytes: Uint8Array, start: number, at: number): number {
  const byte = bytes[at]!;
  if (at > start) return BAD_NAME;
  if (byte === SP || byte === HTAB) return FOLDED;
  return byte === CR || byte === LF ? BAD_END : BAD_NAME;
}
