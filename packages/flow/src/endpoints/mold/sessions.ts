import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import type { Source } from '../../source.js';
import type { PacketSource } from '../../transport.js';
import type { Session } from './session.js';
import type { MoldReceiving, SessionEvents } from './session-table.js';
import { MoldSource } from './source.js';

/** All sessions of a program. With `once` it ends when at least one was received and all are over. */
export class Sessions implements SessionEvents {
  readonly #sessions = new Set<Session>();
  /** Sessions by their names, for each set of sinks. */
  readonly #named = new Map<string, Map<string, Session>>();

  constructor(
    private readonly program: Program,
    private readonly receiving: MoldReceiving,
  ) {}

  /** The source of messages of an address with `frame=mold`. @param waits whether that of its packets waits for room */
  source(packets: PacketSource, waits: boolean): Source {
    return new MoldSource(this.program, packets, this.receiving, this, waits);
  }

  named(sinks: readonly Sink[]): Map<string, Session> {
    // Each route may have sinks of its own to the same destinations.
    const key = JSON.stringify(sinks.map(({ name }) => name).toSorted());
    const named = this.#named.get(key) ?? new Map<string, Session>();
    this.#named.set(key, named);
    return named;
  }

  add(session: Session): void {
    this.#sessions.add(session);
  }

  forget(session: Session): void {
    this.#sessions.delete(session);
  }

  over(which: string, why: string | undefined): void {
    if (!this.receiving.once) return;
    if (why !== undefined) this.program.fail('MPROXY_LOST', 'receiving', which, why);
    if ([...this.#sessions].every((session) => session.over)) void this.program.end();
  }
}
