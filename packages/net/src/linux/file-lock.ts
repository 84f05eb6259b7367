const FREE = 0;
const HELD = 1;
/** Held, and a thread waits for it. */
const WAITING = 2;

const LOCK = 0;
const HANDED = 1;
const WRITTEN = 2;
const IN_FLIGHT = 3;
/** The thread that holds the lock; see {@link FileLock.release}. */
const OWNER = 4;

/** Limit of bytes in flight to the event loop, which may be busy; more than the largest batch. */
const LIMIT = 8 * 1024 * 1024;
/** Bytes counted for a message beside its content. */
const MESSAGE_COST = 512;

/** Bytes of the words; a multiple of 8. */
const WORDS = 24;
/** Longest wait for the event loop before the state is checked again, in milliseconds. */
const WAIT_MS = 10;

/**
 * State shared by the event loop and the threads that write to one file: a lock, the file's size and limit,
 * and whether the loop has yet to write handed-over data. Until it has, no thread writes: no other datagram
 * may follow one that is partly written.
 */
export class FileLock {
  readonly #words: Int32Array;
  readonly #sizes: Float64Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(WORDS + 16)) {
    this.#words = new Int32Array(buffer, 0, WORDS / 4);
    this.#sizes = new Float64Array(buffer, WORDS);
  }

  /** Bytes in the file. Changed by the lock's holder, and by the event loop while {@link any} is true. */
  get size(): number {
    return this.#sizes[0]!;
  }

  set size(bytes: number) {
    this.#sizes[0] = bytes;
  }

  /** Maximum size of the file in bytes; 0: unlimited. */
  get limit(): number {
    return this.#sizes[1]!;
  }

  set limit(bytes: number) {
    this.#sizes[1] = bytes;
  }

  /** Bytes left until the limit. */
  get room(): number {
    return this.limit === 0 ? Number.POSITIVE_INFINITY : this.limit - this.size;
  }

  /**
   * Takes the lock to write this many bytes; not for the event loop. If the file has a limit, also waits
   * while too much is in flight: when a file is full, the event loop soon continues in another.
   * @param owner the number of the thread's {@link FileTarget}, above 0
   */
  lock(bytes: number, owner: number): void {
    for (;;) {
      this.#lock();
      this.#words[OWNER] = owner;
      if (this.limit === 0 || !this.any || !this.#exceedsLimit(bytes)) return;
      const written = Atomics.load(this.#words, WRITTEN);
      this.unlock();
      Atomics.wait(this.#words, WRITTEN, written, WAIT_MS);
    }
  }

  /** Takes the lock unless a thread holds it. For the event loop, which releases it immediately. */
  tryLock(): boolean {
    return Atomics.compareExchange(this.#words, LOCK, FREE, HELD) === FREE;
  }

  unlock(): void {
    this.#words[OWNER] = 0;
    if (Atomics.exchange(this.#words, LOCK, FREE) === WAITING) Atomics.notify(this.#words, LOCK, 1);
  }

  /** Releases the lock if a thread has it that failed: its last statements did not run. */
  release(owner: number): void {
    if (this.#words[OWNER] === owner) this.unlock();
  }

  /** Whether the event loop has yet to write something. Reliable while the lock is held. */
  get any(): boolean {
    return Atomics.load(this.#words, HANDED) !== Atomics.load(this.#words, WRITTEN);
  }

  /**
   * With the lock held: reserves a place in the order of handed-over data. The first is never refused.
   * @returns its ticket; undefined when too much is in flight
   */
  hand(bytes: number): number | undefined {
    if (this.#exceedsLimit(bytes)) return undefined;
    Atomics.add(this.#words, IN_FLIGHT, bytes + MESSAGE_COST);
    const ticket = next(Atomics.load(this.#words, HANDED));
    Atomics.store(this.#words, HANDED, ticket);
    return ticket;
  }

  #lock(): void {
    if (Atomics.compareExchange(this.#words, LOCK, FREE, HELD) === FREE) return;
    while (Atomics.exchange(this.#words, LOCK, WAITING) !== FREE) Atomics.wait(this.#words, LOCK, WAITING);
  }

  #exceedsLimit(bytes: number): boolean {
    const inFlight = Atomics.load(this.#words, IN_FLIGHT);
    return inFlight > 0 && inFlight + bytes + MESSAGE_COST > LIMIT;
  }

  /** The event loop has received data handed over to it. */
  arrived(bytes: number): void {
    Atomics.sub(this.#words, IN_FLIGHT, bytes + MESSAGE_COST);
  }

  /** Everything up to this ticket is in the file. */
  writtenUpTo(ticket: number): void {
    Atomics.store(this.#words, WRITTEN, ticket);
    Atomics.notify(this.#words, WRITTEN);
  }
}

/** The ticket after another; 32-bit, wraps around. */
export function next(ticket: number): number {
  return (ticket + 1) | 0;
}
