/** How often signs of life are looked for, in milliseconds. */
const CHECK_MS = 1000;
/** Checks without a sign of life before a PING is sent, and after the second PING without an answer. */
const PING_CHECKS = 10;
const DEAD_CHECKS = 30;

/** Looks for signs of life of a server: bytes from it, or to it, if they waited. Without any it asks for one. */
export class Liveness {
  /** While nothing is read, no sign of life is expected. */
  paused = false;
  /** When the last sign of life was seen, by the clock of `performance`. */
  heardAt = performance.now();
  #silentChecks = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param ping asks for a sign of life
   * @param onDead there was none for too long
   */
  constructor(
    private readonly ping: () => void,
    private readonly onDead: () => void,
  ) {}

  start(): void {
    this.#timer = setInterval(() => this.#check(), CHECK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  heard(): void {
    this.heardAt = performance.now();
    this.#silentChecks = 0;
  }

  #check(): void {
    if (this.paused) return;
    this.#silentChecks++;
    if (this.#silentChecks >= DEAD_CHECKS) this.onDead();
    else if (this.#silentChecks % PING_CHECKS === 0) this.ping();
  }
}
