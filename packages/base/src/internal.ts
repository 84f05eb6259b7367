import { AssertionError } from 'node:assert';

/** Errors of the language and Node at a wrong call (Node: errors; ERR_INVALID_ARG_TYPE is a TypeError). */
const INTERNAL_ERRORS = [TypeError, RangeError, ReferenceError, SyntaxError, AssertionError];

/** Whether an error is a bug of this program, not of the system, a peer or a user. It ends the program. */
export function isInternal(error: unknown): boolean {
  return !(error instanceof Error) || INTERNAL_ERRORS.some((kind) => error instanceof kind);
}

/** For handlers of other failures: rethrows an internal error. @throws the error, if it is internal */
export function throwInternal(error: unknown): void {
  if (isInternal(error)) throw error;
}
