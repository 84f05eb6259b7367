/** Errors of the language and Node at a wrong call (Node: errors; ERR_INVALID_ARG_TYPE is a TypeError). */
const INTERNAL_ERRORS = [TypeError, RangeError, ReferenceError, SyntaxError];
/** The code of an AssertionError; to load node:assert for its class takes each program 3 ms of its start. */
const ASSERTION = 'ERR_ASSERTION';

/** Whether an error is a bug of this program, not of the system, a peer or a user. It ends the program. */
export function isInternal(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  return (
    INTERNAL_ERRORS.some((kind) => error instanceof kind) || ('code' in error && error.code === ASSERTION)
  );
}

/** For handlers of other failures: rethrows an internal error. @throws the error, if it is internal */
export function throwInternal(error: unknown): void {
  if (isInternal(error)) throw error;
}
