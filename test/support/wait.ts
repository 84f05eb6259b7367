/**
 * Resolves when the condition holds; throws when it did not in time. The tests' only way to wait. A file that is not
 * there (ENOENT) is one that is not there yet: while files are rotated, a name is free for a moment.
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = 10_000,
): Promise<void> {
  const deadline = performance.now() + ms;
  for (;;) {
    // Looked at before the condition: whoever was held up for long looks once more.
    const late = performance.now() > deadline;
    let missing: unknown;
    try {
      if (await condition()) return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      missing = error;
    }
    if (late) throw new Error(`still not so after ${ms} ms: ${what}`, { cause: missing });
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
