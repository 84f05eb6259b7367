/** How long a stopping source keeps reading while data still arrives, in milliseconds. */
const MAX_MS = 350;

/**
 * Resolves when the kernel holds no more data for a socket: readiness is level-triggered, so that two turns
 * of the event loop without data show it. Limited in time, for a peer that never pauses.
 * @param received amount received until now, in any unit
 * @param capacity maximum that the kernel can hold, in the same unit
 */
export async function untilQuiet(received: () => number, capacity = Number.POSITIVE_INFINITY): Promise<void> {
  const deadline = performance.now() + MAX_MS;
  const limit = received() + capacity;
  let quiet = 0;
  let before = received();
  while (quiet < 2 && before < limit && performance.now() < deadline) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = received();
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
}
