import type { Connection } from 'mproxy-net';

const NEVER = Number.POSITIVE_INFINITY;
/** Looks at a client that takes nothing, within the time-out for that: often enough for it to be exact. */
const LOOKS = 32;

/** Watches whether a client takes anything of what waits for it. Times are those of deadlines, in milliseconds. */
export class SendWatch {
  /** When the client has taken nothing for too long; infinite: nothing waits. */
  #until = NEVER;
  #taken = 0;

  constructor(
    private readonly connection: Connection,
    private readonly timeout: number,
  ) {}

  get isOn(): boolean {
    return this.#until < NEVER;
  }

  begin(now: number): void {
    if (this.isOn) return;
    this.#taken = this.connection.sent;
    this.#until = now + this.timeout;
  }

  end(): void {
    this.#until = NEVER;
  }

  /** Looks what became of it. @returns whether the time is over */
  isOver(now: number): boolean {
    const { sent } = this.connection;
    if (this.isOn && sent !== this.#taken) {
      this.end();
      this.begin(now);
    }
    return this.#until <= now;
  }

  /** When to look again. */
  lookAt(now: number): number {
    return Math.min(this.#until, this.isOn ? now + this.timeout / LOOKS : NEVER);
  }
}
