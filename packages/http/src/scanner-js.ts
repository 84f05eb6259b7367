import { CLASS, COLON, CR, HTAB, LF, SP, TOKEN, VALUE } from './bytes.js';
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
  TOO_MANY,
} from './scan-results.js';

/** The scanner where there is no WebAssembly with vectors, and the measure of the other one. */
export class JsScanner implements HeadScanner {
  at = 0;
  known = 0;

  scan(bytes: Uint8Array, from: number, end: number, rows: number[], limit: number): number {
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
      while (at < end && (CLASS[bytes[at]!]! & VALUE) !== 0) at++;
      if (at + 1 >= end || bytes[at] !== CR || bytes[at + 1] !== LF) {
        const isEnd = bytes[at] === CR || bytes[at] === LF;
        result = judged(bytes, at, end, isEnd ? BAD_END : BAD_VALUE);
        break;
      }
      let valueEnd = at;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB))
        valueEnd--;
      at += 2;
      if (rows.length >= limit) {
        result = TOO_MANY;
        break;
      }
      const id = knownName(bytes, start, nameEnd);
      if (id !== 0) known |= 1 << (id & 31);
      rows.push(start, nameEnd, valueStart, valueEnd, id);
    }
    this.known = known;
    return result;
  }
}

/** What is wrong with a line in whose name a byte is no part of a token, or that has none. */
function wrongName(bytes: Uint8Array, start: number, at: number): number {
  const byte = bytes[at]!;
  if (at > start) return BAD_NAME;
  if (byte === SP || byte === HTAB) return FOLDED;
  return byte === CR || byte === LF ? BAD_END : BAD_NAME;
}
