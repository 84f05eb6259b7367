import type { Service } from '../service.js';
import { MoldSource } from '../source/mold.js';
import type { UdpSource } from '../source/udp.js';
import type { Source } from '../source.js';
import type { MoldReceiving } from './options.js';

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
    private readonly receiving: MoldReceiving,
  ) {}

  /** What a route reads where it listens: the messages of sessions, or datagrams as they come. */
  source(udp: UdpSource): Source {
    return udp.address.keys.frame === 'mold' ? new MoldSource(this.service, udp, this.receiving, this) : udp;
  }

  add(session: SessionState): void {
    this.#heard.add(session);
  }

  /** One that is over, and long silent: nobody waits for it. */
  forget(session: SessionState): void {
    this.#heard.delete(session);
  }

  /** One of them is over. @param why what it lacks; undefined where it has everything */
  over(which: string, why: string | undefined): void {
    if (!this.receiving.once) return;
    if (why !== undefined) this.service.fail('MPROXY_LOST', 'receiving', which, why);
    if ([...this.#heard].every((session) => session.over)) void this.service.end();
  }
}
