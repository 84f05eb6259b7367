import type { SocketAddress } from 'mproxy-base';
import { headerAlone } from 'mproxy-mold';
import type { Address, Engine, OnMessage, RequestSocket } from 'mproxy-net';
import { resolveFirst, scoped } from 'mproxy-net';
import type { RunningClock } from './clock.js';
import type { Session } from './session.js';

/** Asked of the kernel for the socket that answers come to, in bytes; a quarter of what it grants may be asked for. */
const ANSWER_BUFFER = 4 * 1024 * 1024;
/** All sessions are looked at for what is due at most so often: a flood of packets must not make it dear. */
const SWEEP_MS = 2;

export interface AskingEvents {
  /** What a request brought, or whatever else came to its socket. */
  onMessage: OnMessage;
  /** Everything of a session was delivered, or given up. */
  ended: (session: Session) => void;
  /** What was given up by the clock alone let something be delivered. */
  passed: () => void;
}

/** Asks for what sessions miss when it is due, by a socket of its own. */
export class RepairClient {
  /** Where all requests go; undefined: where the data of a session comes from. */
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

  /** @param local where the data comes to @param signal ends a look-up @throws the signal's reason */
  async open(
    engine: Engine,
    requestAddr: Address | undefined,
    local: SocketAddress,
    signal: AbortSignal,
  ): Promise<void> {
    if (requestAddr) {
      const answer = await resolveFirst(requestAddr, signal);
      this.to = { address: scoped(answer), port: answer.port };
    }
    const family = (this.to?.address ?? local.address).includes(':') ? 6 : 4;
    const { onMessage } = this.events;
    this.#requests = await engine.openRequestSocket({ family, receiveBuffer: ANSWER_BUFFER, onMessage });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#requests?.close();
  }

  /** Bytes that may be asked for and not yet come. */
  get room(): number {
    return (this.#requests?.receiveBuffer ?? 0) / 4;
  }

  /** Asks for what is missing and due, and comes back when the next is. */
  ask(now: number): void {
    const next = this.#sweptAt + SWEEP_MS;
    this.#wakeAt(now < next ? next : now + this.#sweep(now), now);
  }

  /** @returns milliseconds until something is due */
  #sweep(now: number): number {
    this.#sweptAt = now;
    let again = Number.POSITIVE_INFINITY;
    for (const session of this.sessions.values()) {
      const { tracker } = session;
      if (session.over || !tracker.waits) continue;
      again = Math.min(
        again,
        tracker.ask(now, (first, count) => this.#request(session, first, count)),
      );
      if (tracker.ended) this.events.ended(session);
    }
    return again;
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
    this.#requests?.send(headerAlone(id, first, count), ask);
  }
}
