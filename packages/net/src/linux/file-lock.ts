const FREE = 0;
const HELD = 1;
/** ReorderBuffer, and somebody waits for it. */
const WANTED = 2;

const LOCK = 0;
const HANDED = 1;
const WRITTEN = 2;
const UNDER_WAY = 3;

/** Bytes on their way to the event loop, which may be busy; more than the largest batch. */
const LIMIT = 8 * 1024 * 1024;
/** What a message costs beside its bytes. */
const MESSAGE = 512;

const WORDS = 16;
/** How long at most a thread that waits for the event loop looks the other way. */
const WAIT_MS = 10;

/**
 * What the threads that write to one file share with each other and with the event loop: whose turn it is, how large
 * the file is and may get, and whether the loop has yet to write what they handed over. As long as it has, nobody else
 * writes: a datagram that the file took a part of is never followed by another.
 */
export class FileLock {
  readonly #words: Int32Array;
  readonly #sizes: Float64Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(WORDS + 16)) {
    this.#words = new Int32Array(buffer, 0, WORDS / 4);
    this.#sizes = new Float64Array(buffer, WORDS);
  }

  /** Bytes in the file. Changed by who has the turn, and by the event loop while there is {@link any}. */
  get size(): number {
    return this.#sizes[0]!;
  }

  set size(bytes: number) {
    this.#sizes[0] = bytes;
  }

  /** Bytes that the file may have; 0: any number. */
  get limit(): number {
    return this.#sizes[1]!;
  }

  set limit(bytes: number) {
    this.#sizes[1] = bytes;
  }

  /** Bytes that the file may still take. */
  get room(): number {
    return this.limit === 0 ? Number.POSITIVE_INFINITY : this.limit - this.size;
  }

  /**
   * Waits for a thread's turn to write so many bytes. A file that has a limit is full every now and then, and the event
   * loop soon goes on in another: where too much is under way to it already, its turn is waited for too. Never on the
   * event loop.
   */
  lock(bytes: number): void {
    for (;;) {
      this.#lock();
      if (this.limit === 0 || !this.any || !this.#crowded(bytes)) return;
      const written = Atomics.load(this.#words, WRITTEN);
      this.unlock();
      Atomics.wait(this.#words, WRITTEN, written, WAIT_MS);
    }
  }

  /** Takes the turn unless a thread has it. For the event loop, which gives it back at once. */
  tryLock(): boolean {
    return Atomics.compareExchange(this.#words, LOCK, FREE, HELD) === FREE;
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
    if (this.#crowded(bytes)) return undefined;
    Atomics.add(this.#words, UNDER_WAY, bytes + MESSAGE);
    const ticket = next(Atomics.load(this.#words, HANDED));
    Atomics.store(this.#words, HANDED, ticket);
    return ticket;
  }

  #lock(): void {
    if (Atomics.compareExchange(this.#words, LOCK, FREE, HELD) === FREE) return;
    while (Atomics.exchange(this.#words, LOCK, WANTED) !== FREE) Atomics.wait(this.#words, LOCK, WANTED);
  }

  #crowded(bytes: number): boolean {
    const under = Atomics.load(this.#words, UNDER_WAY);
    return under > 0 && under + bytes + MESSAGE > LIMIT;
  }

  /** The event loop has what was handed over. */
  arrived(bytes: number): void {
    Atomics.sub(this.#words, UNDER_WAY, bytes + MESSAGE);
  }

  /** All up to this ticket is in the file. */
  writtenUpTo(ticket: number): void {
    Atomics.store(this.#words, WRITTEN, ticket);
    Atomics.notify(this.#words, WRITTEN);
  }
}

/** The ticket after another; they go round. */
export function next(ticket: number): number {
  return (ticket + 1) | 0;
}
