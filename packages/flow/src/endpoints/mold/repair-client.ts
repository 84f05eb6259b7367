import type { SocketAddress } from 'mproxy-base';
import { headerAlone } from 'mproxy-mold';
import type { Address, Engine, OnMessage, RequestSocket } from 'mproxy-net';
import { resolveFirst, scoped } from 'mproxy-net';
import type { RunningClock } from './clock.js';
import type { Session } from './session.js';

/** SO_RCVBUF for retransmissions, in bytes. A quarter of the granted size may be outstanding. */
const RECEIVE_BUFFER = 4 * 1024 * 1024;
/** Minimum interval between checks of all sessions, ms: a flood of packets must not be costly. */
const SWEEP_MS = 2;

export interface AskingEvents {
  /** Takes a datagram that arrived at the request socket. */
  onMessage: OnMessage;
  /** All messages of a session were delivered or given up. */
  ended: (session: Session) => void;
  /** The timer ran: messages given up may have released later ones. */
  passed: () => void;
}

/** Sends due requests for missing messages, from a socket of its own. */
export class RepairClient {
  /** Destination of all requests; undefined: the source of each session's data. */
  to: SocketAddress | undefined;
  #requests: RequestSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly sessions: { values(): Iterable<Session> },
    private readonly clock: RunningClock,
    private readonly events: AskingEvents,
  ) {}

  /**
   * @param local where data is received; undefined: its senders are unknown, and requests go to `requestAddr` alone
   * @param signal cancels resolution
   * @throws the signal's reason
   */
  async open(
    engine: Engine,
    requestAddr: Address | undefined,
    local: SocketAddress | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (requestAddr) {
      const answer = await resolveFirst(requestAddr, signal);
      this.to = { address: scoped(answer), port: answer.port };
    }
    const near = this.to ?? local;
    if (!near) return;
    const family = near.address.includes(':') ? 6 : 4;
    const { onMessage } = this.events;
    this.#requests = await engine.openRequestSocket({ family, receiveBuffer: RECEIVE_BUFFER, onMessage });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#requests?.close();
  }

  /** Bytes that may be outstanding. */
  get room(): number {
    return (this.#requests?.receiveBuffer ?? 0) / 4;
  }

  /** Requests missing messages that are due, and schedules the next check. */
  ask(now: number): void {
    const next = this.#sweptAt + SWEEP_MS;
    this.#wakeAt(now < next ? next : now + this.#sweep(now), now);
  }

  /** @returns milliseconds until something is due */
  #sweep(now: number): number {
    this.#sweptAt = now;
    let delay = Number.POSITIVE_INFINITY;
    for (const session of this.sessions.values()) {
      const { tracker } = session;
      if (session.over || !tracker.waits) continue;
      delay = Math.min(
        delay,
        tracker.ask(now, (first, count) => this.#request(session, first, count)),
      );
      if (tracker.ended) this.events.ended(session);
    }
    return delay;
  }

  #wakeAt(time: number, now: number): void {
    if (time >= this.#timerAt && this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (time === Number.POSITIVE_INFINITY) return;
    this.#timerAt = time;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.ask(this.clock.now());
        this.events.passed();
      },
      Math.max(1, time - now),
    );
  }

  #request({ id, ask }: Session, first: number, count: number): void {
    if (ask) this.#requests?.send(headerAlone(id, first, count), ask);
  }
}
