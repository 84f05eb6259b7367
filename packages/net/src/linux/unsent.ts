/**
 * Bytes that a relay on the event loop leaves at most while the socket's buffer is full, what each costs included: as
 * much as the node engine does. The event loop serves everything else meanwhile.
 */
export const MOST_LEFT = 1024 * 1024;
/** What an entry costs beside its bytes. */
const COST = 128;

/** One entry that waits: a datagram, or several of a segment size. */
export interface Left {
  bytes: Buffer;
  segment: number;
}

/** What a socket had no room for, in order, up to a limit of bytes. */
export class Unsent {
  entries: Left[] = [];
  #bytes = 0;

  constructor(private readonly limit: number) {}

  /** Keeps a copy. @returns false where there is no room for it */
  add(bytes: Buffer, segment: number): boolean {
    const cost = bytes.length + COST;
    if (this.#bytes + cost > this.limit) return false;
    this.#bytes += cost;
    this.entries.push({ bytes: Buffer.from(bytes), segment });
    return true;
  }

  /** Puts back what was taken, or what another left of it. */
  addAll(entries: readonly Left[]): void {
    for (const entry of entries) {
      this.#bytes += entry.bytes.length + COST;
      this.entries.push(entry);
    }
  }

  /** Empties it. @returns what was in it */
  take(): Left[] {
    const { entries } = this;
    this.entries = [];
    this.#bytes = 0;
    return entries;
  }
}
