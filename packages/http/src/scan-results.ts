import { findLf } from './bytes.js';
import { Rejection } from './rejection.js';

export const DONE = 0;
/** The last line has not ended yet. */
export const MORE = 1;
/** From here on: the line is invalid. */
export const BAD_NAME = 2;
export const BAD_VALUE = 3;
export const BAD_END = 4;
export const FOLDED = 5;
export const TOO_MANY = 6;

/** Integers of a row: where the line, and with it the name, begins; where the name ends, the value begins and ends; the number of a known name. */
export const ROW = 5;
/** In the place of a line's start in a row: the line is gone. */
export const GONE = -3;

/**
 * Splits field lines, of heads and trailers, up to the empty line behind them. A line is judged when its LF is there: what becomes of a
 * head does not depend on the pieces in which it comes.
 */
export interface HeadScanner {
  /**
   * Reads field lines from `at` on.
   * @param end of the bytes that are there
   * @param limit of the rows
   * @returns {@link DONE}, {@link MORE} or what is wrong with the line at {@link at}
   */
  scan(bytes: Uint8Array, at: number, end: number, limit: number): number;
  /** After a scan: what follows the empty line; else the start of the line that has not ended or is invalid. */
  readonly at: number;
  /** A row ({@link ROW}) for each field line before {@link at}; the caller's. */
  readonly rows: number[];
  /** A bit for each known name in them, in either spelling. */
  readonly known: number;
}

const REASONS: Record<number, Rejection> = {
  [BAD_NAME]: new Rejection(400, 'invalid field name'),
  [BAD_VALUE]: new Rejection(400, 'invalid field value'),
  [BAD_END]: new Rejection(400, 'field line without CRLF'),
  [FOLDED]: new Rejection(400, 'folded field line'),
  [TOO_MANY]: new Rejection(431, 'too many fields'),
};

/** What a result of {@link HeadScanner.scan} means for a request. */
export function scanRejection(result: number): Rejection {
  return REASONS[result]!;
}

/** A result for a line whose LF is there. */
export function judged(bytes: Uint8Array, at: number, end: number, result: number): number {
  return findLf(bytes, at, end) >= 0 ? result : MORE;
}
