import type { Test } from 'tap';

/** A machine that does much else is late with what it does, or with looking at it: one of so many tries tells. */
const TRIES = 5;

/** @param attempt gives what is wrong; its last word counts */
export async function inOneOfSome(t: Test, attempt: () => Promise<string[]>, most = TRIES): Promise<void> {
  let wrong: string[] = [];
  for (let tries = 0; tries < most; tries++) {
    wrong = await attempt();
    if (wrong.length === 0) break;
    t.comment(wrong.join('; '));
  }
  t.same(wrong, []);
}

/** What of this does not hold. */
export function untrue(claims: Record<string, boolean>): string[] {
  return Object.keys(claims).filter((claim) => !claims[claim]);
}

/** Does something twenty times; half of the times it must take less than so many milliseconds. */
export function mostlyWithin(t: Test, ms: number, act: () => Promise<void>): Promise<void> {
  return inOneOfSome(t, async () => {
    const delays: number[] = [];
    for (let i = 0; i < 20; i++) {
      const before = performance.now();
      await act();
      delays.push(performance.now() - before);
    }
    const median = delays.sort((a, b) => a - b)[10]!;
    return untrue({ [`median ${median.toFixed(1)} ms`]: median < ms });
  });
}
