export interface PoolLimits {
  /** Idle connections that are kept. */
  maxIdle: number;
  /** Connections, those that are being opened included. */
  maxConnections: number;
  /** Requests that wait because of {@link maxConnections}. */
  maxQueue: number;
}

/** Waits for a connection. One of the two is called once, never within {@link Pool.wait}. */
export interface Waiter<C> {
  /** Whether it takes none that had a request before: that may be closed by now. */
  readonly needsNew: boolean;
  onConnection(connection: C): void;
  onConnectError(error: unknown): void;
}

/**
 * The connections to one upstream. One that was used last is used first, so that those which are not needed become old, and close. A request
 * that finds none idle has one opened for it; it gets the first that is free, be it another one.
 */
export class Pool<C extends { close(): void }> {
  readonly #idle: C[] = [];
  readonly #waiting = new Set<Waiter<C>>();
  readonly #open = new Set<C>();
  #connecting = 0;
  #closed = false;

  /** @param connect opens a connection */
  constructor(
    private readonly limits: PoolLimits,
    private readonly connect: () => Promise<C>,
  ) {}

  get idle(): number {
    return this.#idle.length;
  }

  /** Connections that are open, the idle ones included. */
  get open(): ReadonlySet<C> {
    return this.#open;
  }

  /** Requests that wait beyond those that a connection is being opened for. */
  get queued(): number {
    return Math.max(0, this.#waiting.size - this.#connecting);
  }

  /** Whether a request would be taken. */
  get ready(): boolean {
    return this.#idle.length > 0 || this.#hasRoom || this.queued < this.limits.maxQueue;
  }

  get #hasRoom(): boolean {
    return this.#open.size + this.#connecting < this.limits.maxConnections;
  }

  /** An idle connection: the one that was used last. */
  take(): C | undefined {
    return this.#idle.pop();
  }

  /**
   * Waits for a connection that is new, or was used just now, if the waiter takes it.
   * @returns false: the queue is full
   */
  wait(waiter: Waiter<C>): boolean {
    // The oldest idle one makes room for a new one.
    if (!this.#hasRoom) this.#idle[0]?.close();
    if (!this.#hasRoom && this.queued >= this.limits.maxQueue) return false;
    this.#waiting.add(waiter);
    this.#connectIfNeeded();
    return true;
  }

  /** It waits no more. A connection that is being opened for it becomes idle. */
  cancel(waiter: Waiter<C>): void {
    this.#waiting.delete(waiter);
  }

  /** A request on it has ended, and another one can follow. */
  release(connection: C): void {
    if (this.#give(connection, false)) return;
    // Whoever still waits for a new one needs its place.
    const isInTheWay = this.#waiting.size > this.#connecting && !this.#hasRoom;
    if (this.#closed || isInTheWay || this.#idle.length >= this.limits.maxIdle) connection.close();
    else this.#idle.push(connection);
  }

  /** Gives a connection to the first that takes it. */
  #give(connection: C, isNew: boolean): boolean {
    for (const waiter of this.#waiting) {
      if (waiter.needsNew && !isNew) continue;
      this.#waiting.delete(waiter);
      waiter.onConnection(connection);
      return true;
    }
    return false;
  }

  /** It is closed. */
  remove(connection: C): void {
    if (!this.#open.delete(connection)) return;
    const at = this.#idle.lastIndexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#connectIfNeeded();
  }

  /** Closes idle connections; others close when their request has ended. */
  close(): void {
    this.#closed = true;
    for (const connection of [...this.#idle]) connection.close();
  }

  #connectIfNeeded(): void {
    while (this.queued > 0 && this.#hasRoom) {
      this.#connecting++;
      this.connect().then(
        (connection) => this.#connected(connection),
        (error) => this.#failed(error),
      );
    }
  }

  #connected(connection: C): void {
    this.#connecting--;
    this.#open.add(connection);
    if (!this.#give(connection, true)) this.release(connection);
    this.#connectIfNeeded();
  }

  #failed(error: unknown): void {
    this.#connecting--;
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter);
      waiter.onConnectError(error);
      break;
    }
    this.#connectIfNeeded();
  }
}
