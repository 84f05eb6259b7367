/**
 * The stack of an error on one line, for a notice; its text, where it has none. An exception that nothing caught is a mistake in this
 * program, or in a module of the user.
 */
export function stackOf(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? String(error)) : String(error);
  return text.replace(/\s*\n\s*/g, ' ');
}
