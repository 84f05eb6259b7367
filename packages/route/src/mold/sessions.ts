import { failure } from '../errors.js';
import type { Service } from '../service.js';

/** One session as a receiver has it. */
export interface SessionState {
  /** Whether it ended, or its sender is gone. */
  over: boolean;
}

/** All sessions that a command receives: with `once` it ends when each that was heard is over, and at least one was. */
export class Sessions {
  readonly #heard = new Set<SessionState>();

  constructor(
    private readonly service: Service,
    readonly once: boolean,
  ) {}

  add(session: SessionState): void {
    this.#heard.add(session);
  }

  forget(session: SessionState): void {
    if (!this.once) this.#heard.delete(session);
  }

  /** One of them is over. @param why what it lacks; undefined where it has everything */
  over(which: string, why: string | undefined): void {
    if (!this.once) return;
    if (why !== undefined) this.service.fail('MPROXY_LOST', 'receiving', which, why);
    if ([...this.#heard].every((session) => session.over)) void this.service.stop();
  }

  /** With `once`: a command that was stopped before it had everything did not do what it was asked to. */
  stopped(which: string): void {
    if (this.once) throw failure('MPROXY_LOST', 'receiving', which, 'stopped before its sessions were over');
  }
}
