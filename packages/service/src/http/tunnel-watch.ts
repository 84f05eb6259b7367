import type { Connection } from 'mproxy-net';

/** Looks at a tunnel, within its time-out: often enough for it to be exact. */
const LOOKS = 32;

/** Watches whether anything passes through a connection, in either direction. It costs nothing for what passes. Times are those of deadlines. */
export class TunnelWatch {
  #passed = -1;
  #until = 0;

  /** @param timeout in milliseconds */
  constructor(
    private readonly connection: Pick<Connection, 'received' | 'sent'>,
    private readonly timeout: number,
  ) {}

  /**
   * @param isHeld the silence is not that of this peer: it is not read
   * @returns when to look again; undefined: the time is over
   */
  look(now: number, isHeld: boolean): number | undefined {
    const { connection, timeout } = this;
    const passed = connection.received + connection.sent;
    if (isHeld || passed !== this.#passed) {
      this.#passed = passed;
      this.#until = now + timeout;
    }
    return this.#until <= now ? undefined : Math.min(this.#until, now + timeout / LOOKS);
  }
}
