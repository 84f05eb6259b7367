import { setImmediate as nextTurn } from 'node:timers/promises';
import { Progress } from 'mproxy-net';
import type { SessionTable } from './session-table.js';

/** Tells when what came is stored. Messages that wait for missing ones before them are not delivered, let alone stored. */
export class Stored {
  readonly #progress = new Progress();
  /** Resolves when nothing waits: one promise for all who ask meanwhile. */
  #complete: Promise<void> | undefined;

  /** @param pass delivers what was gathered */
  constructor(
    private readonly sessions: SessionTable,
    private readonly pass: () => void,
  ) {}

  /** Missing messages came or were given up, perhaps. */
  advance(): void {
    this.#progress.advance();
  }

  /** Undefined when the sinks stored all that came, else resolves when they have. @param stored tells it of what was delivered */
  by(stored: () => Promise<void> | undefined): Promise<void> | undefined {
    if (!this.#holds) return stored();
    this.#complete ??= this.#whenComplete();
    return this.#complete.then(() => this.#passed(stored));
  }

  async #whenComplete(): Promise<void> {
    await this.#progress.until(() => !this.#holds);
    this.#complete = undefined;
  }

  async #passed(stored: () => Promise<void> | undefined): Promise<void> {
    this.pass();
    // The route flushes at the end of the turn.
    await nextTurn();
    await stored();
  }

  /** Whether messages may wait for others, in any session that the same sinks get. */
  get #holds(): boolean {
    const sessions = [...this.sessions.values(), ...this.sessions.named.values()];
    return sessions.some(({ tracker }) => tracker.waits);
  }
}
