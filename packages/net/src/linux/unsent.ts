/** Limit of bytes that a relay on the event loop keeps unsent, overhead included; as in the node engine. */
export const MOST_LEFT = 1024 * 1024;
/** Bytes counted for an entry beside its data. */
const OVERHEAD = 128;

/** One unsent entry: a datagram, or several of a segment size. */
export interface Left {
  bytes: Buffer;
  segment: number;
}

/** Datagrams that found the socket's buffer full, in order, up to a limit in bytes. */
export class Unsent {
  entries: Left[] = [];
  #bytes = 0;

  constructor(private readonly limit: number) {}

  /** Keeps a copy. @returns false when the limit is reached */
  add(bytes: Buffer, segment: number): boolean {
    const cost = bytes.length + OVERHEAD;
    if (this.#bytes + cost > this.limit) return false;
    this.#bytes += cost;
    this.entries.push({ bytes: Buffer.from(bytes), segment });
    return true;
  }

  /** Adds entries without a copy and regardless of the limit. */
  addAll(entries: readonly Left[]): void {
    for (const entry of entries) {
      this.#bytes += entry.bytes.length + OVERHEAD;
      this.entries.push(entry);
    }
  }

  /** Removes and returns all entries. */
  take(): Left[] {
    const { entries } = this;
    this.entries = [];
    this.#bytes = 0;
    return entries;
  }
}
