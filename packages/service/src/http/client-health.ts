/** Consecutive failures that eject an upstream. */
const FAILURES = 3;
/** The first ejection, and the longest, in milliseconds. Each is twice as long as the one before it. */
const EJECTED_MS = 10_000;
const MAX_EJECTED_MS = 300_000;
/** How long a check may take after the ejection, in milliseconds. If there is none, because its worker ended, the upstream returns. */
const CHECK_MS = 10_000;

const FAILED = 0;
const FIRST_CLIENT = 1;
const SEVERAL = 2;
const EJECTIONS = 3;
const OUT = 4;
const UNTIL = 5;

/** Numbers that the health of one upstream takes, in memory that workers share. */
export const HEALTH_CELLS = 6;

/**
 * What is known of an upstream from what became of its requests: consecutive failures to connect, resets and missing answers eject it for
 * a time, if they were of more than one client. Workers share it.
 */
export class Health {
  /** @param cells {@link HEALTH_CELLS} numbers, zero at first */
  constructor(
    private readonly cells: Int32Array = new Int32Array(HEALTH_CELLS),
    private readonly base = EJECTED_MS,
  ) {}

  /** Whether it is ejected. */
  get isOut(): boolean {
    if (this.cells[OUT] !== 1) return false;
    const left = this.#left(CHECK_MS);
    if (left > 0 && left <= MAX_EJECTED_MS + CHECK_MS) return true;
    // It was never checked. As the clock wraps around, the end of its ejection would be in the future again after 25 days.
    this.cells[OUT] = 0;
    return false;
  }

  /** It answered. */
  succeeded(): void {
    const { cells } = this;
    if (cells[FAILED] !== 0) cells[FAILED] = 0;
    if (cells[EJECTIONS] !== 0 && cells[OUT] === 0) cells[EJECTIONS] = 0;
  }

  /**
   * It failed a request of this client.
   * @returns undefined; or, if that ejects it now, for how many milliseconds: then it is to be checked
   */
  failed(client: string | undefined): number | undefined {
    const { cells } = this;
    const hash = hashOf(client ?? '');
    if (cells[FAILED] === 0) {
      cells[FIRST_CLIENT] = hash;
      cells[SEVERAL] = 0;
    } else if (cells[FIRST_CLIENT] !== hash) cells[SEVERAL] = 1;
    const count = Atomics.add(cells, FAILED, 1) + 1;
    if (count < FAILURES || cells[SEVERAL] === 0 || this.isOut) return undefined;
    return this.#eject();
  }

  /** A check during its ejection has ended. @returns as {@link failed} */
  checked(works: boolean): number | undefined {
    if (!works) return this.#eject();
    this.cells[FAILED] = 0;
    this.cells[OUT] = 0;
    return undefined;
  }

  #eject(): number {
    const { cells } = this;
    const ms = Math.min(this.base * 2 ** Math.min(cells[EJECTIONS]!, 16), MAX_EJECTED_MS);
    cells[EJECTIONS]!++;
    cells[UNTIL] = (clock() + ms) | 0;
    cells[OUT] = 1;
    return ms;
  }

  /** Milliseconds until its ejection is over for so long. */
  #left(after: number): number {
    return (this.cells[UNTIL]! + after - clock()) | 0;
  }
}

/** Milliseconds of the clock that all threads share, as a number of 32 bits that wraps around. */
function clock(): number {
  const [s, ns] = process.hrtime();
  return (s * 1000 + Math.trunc(ns / 1e6)) | 0;
}

function hashOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}
