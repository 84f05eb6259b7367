const FREE = 0;
const HELD = 1;
/** Held, and somebody waits for it. */
const WANTED = 2;

const LOCK = 0;
const HANDED = 1;
const WRITTEN = 2;
const UNDER_WAY = 3;

/** Bytes on their way to the event loop, which may be busy; more than the largest batch. */
const LIMIT = 8 * 1024 * 1024;
/** What a message costs beside its bytes. */
const MESSAGE = 512;

/**
 * What the threads that write to one file share with each other and with the event loop: whose turn it is, and
 * whether the loop has yet to write what they handed over. As long as it has, nobody else writes: a datagram that the
 * file took a part of is never followed by another.
 */
export class Arrears {
  readonly #words: Int32Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(16)) {
    this.#words = new Int32Array(buffer);
  }

  /** Waits for a thread's turn. Never on the event loop. */
  lock(): void {
    if (Atomics.compareExchange(this.#words, LOCK, FREE, HELD) === FREE) return;
    while (Atomics.exchange(this.#words, LOCK, WANTED) !== FREE) Atomics.wait(this.#words, LOCK, WANTED);
  }

  unlock(): void {
    if (Atomics.exchange(this.#words, LOCK, FREE) === WANTED) Atomics.notify(this.#words, LOCK, 1);
  }

  /** Whether the event loop has yet to write something. Tells for sure while one has the turn. */
  get any(): boolean {
    return Atomics.load(this.#words, HANDED) !== Atomics.load(this.#words, WRITTEN);
  }

  /**
   * For one who has the turn: takes a place among what is handed over. The first is never refused.
   * @returns its ticket; undefined when too much is under way already
   */
  hand(bytes: number): number | undefined {
    const under = Atomics.load(this.#words, UNDER_WAY);
    if (under > 0 && under + bytes + MESSAGE > LIMIT) return undefined;
    Atomics.add(this.#words, UNDER_WAY, bytes + MESSAGE);
    const ticket = next(Atomics.load(this.#words, HANDED));
    Atomics.store(this.#words, HANDED, ticket);
    return ticket;
  }

  /** The event loop has what was handed over. */
  arrived(bytes: number): void {
    Atomics.sub(this.#words, UNDER_WAY, bytes + MESSAGE);
  }

  /** All up to this ticket is in the file. */
  writtenUpTo(ticket: number): void {
    Atomics.store(this.#words, WRITTEN, ticket);
  }
}

/** The ticket after another; they go round. */
export function next(ticket: number): number {
  return (ticket + 1) | 0;
}
