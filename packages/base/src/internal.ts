import { AssertionError } from 'node:assert';

/** What the language and Node throw at a wrong call (Node: errors; ERR_INVALID_ARG_TYPE and its like are TypeErrors). */
const KINDS = [TypeError, RangeError, ReferenceError, SyntaxError, AssertionError];

/** Whether an error is a mistake of this program: not the system's, a peer's or a user's. Such an error ends the program. */
export function isInternal(error: unknown): boolean {
  return !(error instanceof Error) || KINDS.some((kind) => error instanceof kind);
}

/** For who handles the failures of others: passes a mistake of this program on. @throws the error, where it is one */
export function throwInternal(error: unknown): void {
  if (isInternal(error)) throw error;
}
