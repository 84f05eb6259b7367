import { timedOut } from '../../socket-errors.js';
import { ACCEPT_MS } from '../../stream-defaults.js';
import { ERRNO, systemError } from '../errno.js';
import type { EdgeHandler, Job } from '../loop.js';
import { Timer } from '../timer-wheel.js';
import type { StreamParts } from './parts.js';
import type { Beginning } from './preamble-reading.js';

/** What became of a handshake; one of the two is called once, in a turn of the loop. Descriptor and channel are the called one's then. */
export interface HandshakeOutcome {
  onSecured(): void;
  onError(error: unknown): void;
}

interface HandshakeOptions {
  /** Limit in milliseconds. */
  timeout: number;
  /** A client's: see TlsClient. */
  untilAccepted?: boolean | undefined;
  /** What has taken too long. Default: the TLS handshake. */
  late?(): string;
}

/** The TLS handshake of a connection, on either side, and what may come before it. It knows a loop and nothing of Node's, as a StreamConnection. */
export class Handshake implements EdgeHandler, Job {
  #over = false;
  #secured = false;
  #reason: unknown;
  readonly #timer = new Timer(() => this.#due());

  /** @throws the system's error (epoll_ctl(2)) */
  constructor(
    private readonly parts: StreamParts,
    private readonly fd: number,
    private readonly channel: Beginning,
    private readonly options: HandshakeOptions,
    private readonly outcome: HandshakeOutcome,
  ) {
    const { loop } = parts;
    // It is writable: a client begins in the next turn.
    loop.addEdge(fd, this);
    loop.hold(1);
    loop.setTimer(this.#timer, options.timeout);
  }

  /** Gives up, unless it is finished or failed already. */
  cancel(reason: unknown): void {
    if (this.#over) return;
    this.#end();
    this.#reason = reason;
    this.parts.loop.defer(this);
  }

  /** Reports a failure from outside of the loop's turns. */
  run(): void {
    this.outcome.onError(this.#reason);
  }

  onEvents(): void {
    if (!this.#secured) {
      if (!this.#done(() => this.channel.handshake())) return;
      this.#secured = true;
      if (this.options.untilAccepted) this.parts.loop.setTimer(this.#timer, ACCEPT_MS);
    }
    if (this.options.untilAccepted && !this.#done(() => this.channel.accepted())) return;
    this.#succeed();
  }

  /** @returns whether a step is done; it may have failed */
  #done(step: () => number): boolean {
    let result: number;
    try {
      result = step();
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    if (result < 0 && result !== -ERRNO.EAGAIN)
      this.#fail(this.channel.error ?? systemError(-result, 'TLS handshake'));
    return result === 0;
  }

  #due(): void {
    // A server that sends no ticket.
    if (this.#secured) this.#succeed();
    else this.#fail(timedOut(`${this.options.late?.() ?? 'the TLS handshake'} timed out`));
  }

  #succeed(): void {
    this.#end();
    this.outcome.onSecured();
  }

  #fail(error: unknown): void {
    this.#end();
    this.outcome.onError(error);
  }

  #end(): void {
    const { loop } = this.parts;
    this.#over = true;
    loop.clearTimer(this.#timer);
    loop.remove(this.fd);
    loop.hold(-1);
  }
}
