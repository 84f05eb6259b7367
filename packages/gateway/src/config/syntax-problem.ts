/** A place in a text; both count from 1. */
export interface Position {
  line: number;
  column: number;
}

/** A document that is not in its language. */
export class SyntaxProblem extends Error {
  constructor(
    message: string,
    readonly position: Position,
  ) {
    super(message);
  }
}
