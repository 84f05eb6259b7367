import type { Program } from '../../program.js';
import type { Source } from '../../source.js';
import type { UdpSource } from '../udp/source.js';
import type { Session } from './session.js';
import type { MoldReceiving, SessionEvents } from './session-table.js';
import { MoldSource } from './source.js';

/** All sessions of a program. With `once` it ends when at least one was received and all are over. */
export class Sessions implements SessionEvents {
  readonly #sessions = new Set<Session>();

  constructor(
    private readonly program: Program,
    private readonly receiving: MoldReceiving,
  ) {}

  /** The source of an address: messages of sessions for `frame=mold`, else datagrams. */
  source(udp: UdpSource): Source {
    return udp.address.keys.frame === 'mold' ? new MoldSource(this.program, udp, this.receiving, this) : udp;
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
