import type { Listed, Roster } from 'mproxy-base';
import type { EdgeHandler, Job } from '../loop.js';
import { setOption } from '../options.js';
import { unacknowledged } from '../socket.js';
import { Deadline } from './limits.js';
import type { StreamParts } from './parts.js';

/** struct linger: on, for 0 s (socket(7), SO_LINGER): close(2) resets. */
const RESET = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

/** What a listener closes: its connections, and those in a handshake. */
export interface Closable extends Listed {
  close(): void;
}

/** The connections of a listener. */
export type Siblings = Pick<Set<Closable>, 'add' | 'delete'> | Roster<Closable>;

/** The descriptor of a connection, and its place in the loop and among the connections of its listener. */
export class Place {
  /** -1: it is closed, or has another owner. */
  fd: number;
  #deferred = false;
  /** See {@link Loop.hold}. */
  #holds = false;
  #deadline: Deadline | undefined;

  /** @throws the system's error (epoll_ctl(2)) */
  constructor(
    private readonly parts: StreamParts,
    fd: number,
    private readonly connection: EdgeHandler & Job & Closable,
    private readonly onDeadline: () => void,
    private readonly siblings?: Siblings,
  ) {
    this.fd = fd;
    parts.loop.addEdge(fd, connection);
    siblings?.add(connection);
  }

  /** Runs the connection in the next turn. */
  defer(): void {
    if (this.#deferred) return;
    this.#deferred = true;
    this.parts.loop.defer(this.connection);
  }

  /** It runs. */
  ran(): void {
    this.#deferred = false;
  }

  /** Whether the thread is to go on for it. */
  hold(holds: boolean): void {
    if (holds === this.#holds) return;
    this.#holds = holds;
    this.parts.loop.hold(holds ? 1 : -1);
  }

  /** Calls `onDeadline` after this time in milliseconds, unless an earlier call is due. */
  within(ms: number): void {
    this.#deadline ??= new Deadline(this.parts.loop, this.onDeadline);
    this.#deadline.within(ms);
  }

  unacknowledged(): number | undefined {
    return this.fd < 0 ? undefined : unacknowledged(this.parts.libc, this.fd);
  }

  /** Has {@link close} reset. */
  reset(): void {
    setOption(this.parts.libc, this.fd, 'SO_LINGER', RESET);
  }

  /** @returns the descriptor, which is still open and watched */
  leave(): number {
    const { fd } = this;
    this.fd = -1;
    this.#deadline?.clear();
    this.siblings?.delete(this.connection);
    return fd;
  }

  /** After {@link leave}. */
  close(fd: number): void {
    this.parts.loop.forget(fd);
    this.parts.libc.close(fd);
  }
}
