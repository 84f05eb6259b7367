import { parse, TomlError } from 'smol-toml';
import { SyntaxProblem } from './syntax-problem.js';

/** Parses TOML 1.0. @throws SyntaxProblem with the line and column */
export function parseToml(text: string): unknown {
  try {
    return parse(text, { maxDepth: 100 });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The first line, without what it begins with; an excerpt follows.
    const [first = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    throw new SyntaxProblem(first, { line: error.line, column: error.column });
  }
}
