/** The longest that a stopping source goes on reading when more keeps coming. */
const LONGEST_MS = 350;

/**
 * Resolves when the kernel holds no more for a socket: readiness is level-triggered, so two turns of the event loop
 * in which nothing was heard say so. Bounded, for a peer that never pauses.
 * @param heard what the socket brought so far, in any unit
 * @param held the most that the kernel can hold, in the same unit
 */
export async function untilQuiet(heard: () => number, held = Number.POSITIVE_INFINITY): Promise<void> {
  const deadline = performance.now() + LONGEST_MS;
  const enough = heard() + held;
  let quiet = 0;
  let before = heard();
  while (quiet < 2 && before < enough && performance.now() < deadline) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = heard();
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
}
