import type { Test } from 'tap';

/** A machine that does much else is late with what it does, or with looking at it: one of so many tries tells. */
const TRIES = 5;

/** @param attempt gives what is wrong; its last word counts */
export async function inOneOfSome(t: Test, attempt: () => Promise<string[]>): Promise<void> {
  let wrong: string[] = [];
  for (let tries = 0; tries < TRIES; tries++) {
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
