import { rmSync } from 'node:fs';
import { Roster, type SocketAddress, throwInternal } from 'mproxy-base';
import { descriptorLimit, takesReserve } from '../../descriptors.js';
import type { ListenOptions, StreamListener, TakeDescriptor, TlsServer } from '../../streams.js';
import type { ThreadLoads } from '../../thread-loads.js';
import { ERRNO, systemError } from '../errno.js';
import type { EdgeHandler, Job } from '../loop.js';
import { Timer } from '../timer-wheel.js';
import type { ServerContext } from '../tls/server-context.js';
import { StreamConnection } from './connection.js';
import { openListening } from './listening.js';
import type { StreamParts } from './parts.js';
import type { Closable } from './place.js';
import { PlainChannel } from './plain-channel.js';
import { Securing } from './securing.js';
import { SOCK_CLOEXEC, SOCK_NONBLOCK } from './stream-socket.js';

/** Connections accepted before it is others' turn. */
const QUOTA = 64;
/** On a shared descriptor: while a thread serves these, idle ones accept the next. */
const SHARED_QUOTA = 4;
/** How long a thread that has more connections than others lets these accept, in milliseconds. */
const YIELD_MS = 1;
/** When it tries again after accept(2) failed, in milliseconds: no event tells that descriptors or memory are there again. */
const RETRY_MS = 100;

/** Errors of a connection that ended before it was accepted (accept(2), Error handling). */
const PASSING = new Set<number>(
  [
    ...[ERRNO.ECONNABORTED, ERRNO.EPROTO, ERRNO.ENOPROTOOPT, ERRNO.ENETDOWN, ERRNO.ENETUNREACH],
    ...[ERRNO.EHOSTUNREACH, ERRNO.EOPNOTSUPP, ERRNO.EINTR],
  ].map(Number),
);

/** A listener, with or without TLS. It knows a loop and nothing of Node's, as {@link StreamConnection}. */
export class Listener implements StreamListener, EdgeHandler, Job {
  readonly local: SocketAddress | undefined;
  /** -1: closed. */
  #fd: number;
  readonly #connections = new Roster<Closable>();
  #security: ServerContext | undefined;
  /** Whether connections differ in their local address. */
  readonly #isWildcard: boolean;
  readonly #descriptors = descriptorLimit();
  /** Until EAGAIN says otherwise. */
  #ready = false;
  #paused = false;
  /** accept(2) failed, and was not successful since. */
  #failing = false;
  readonly #retry = new Timer(() => this.#accept());
  #take: TakeDescriptor | undefined;
  /** Given: the descriptor is shared. */
  readonly #loads: ThreadLoads | undefined;
  /** Connections that it has told there. */
  #told = 0;
  /** Set while other threads may accept first. */
  readonly #yield = new Timer(() => {
    this.#yields = false;
    this.#accept();
  });
  #yields = false;

  /** @throws the system's error, or that of TLS */
  constructor(
    private readonly parts: StreamParts,
    private readonly options: ListenOptions,
  ) {
    const { libc, loop } = parts;
    this.#loads = 'fd' in options.at ? options.at.shared : undefined;
    // Invalid certificates are found before anything is opened.
    if (options.tls) this.#security = parts.tls!.server(options.tls);
    let fd = -1;
    try {
      fd = openListening(libc, options);
      this.local = parts.localOf(fd);
      this.#isWildcard = this.local?.address === '0.0.0.0' || this.local?.address === '::';
      if (!options.held) this.#watch(fd);
    } catch (error) {
      this.#security?.free();
      if (fd >= 0 && !this.#loads) libc.close(fd);
      throw error;
    }
    this.#fd = fd;
    loop.hold(1);
  }

  accept(take?: TakeDescriptor): void {
    if (take && this.options.preamble) throw new Error('descriptors of connections with a preamble are kept');
    this.#take = take;
    if (this.#fd < 0) return;
    this.#watch(this.#fd);
    if (take) this.#accept();
  }

  pause(): void {
    if (this.#fd < 0 || this.#paused) return;
    this.#paused = true;
    this.#ready = false;
    const { loop } = this.parts;
    loop.clearTimer(this.#retry);
    loop.clearTimer(this.#yield);
    this.#yields = false;
    loop.remove(this.#fd);
  }

  resume(): void {
    if (this.#fd < 0 || !this.#paused) return;
    this.#paused = false;
    // Those that wait already count as an event (epoll(7)).
    this.#watch(this.#fd);
  }

  get connections(): number {
    return this.#connections.size;
  }

  secure(tls: Omit<TlsServer, 'alpn'>): void {
    const { tls: first } = this.options;
    if (!first || !this.#security) throw new Error('a listener without TLS has no certificates');
    if (this.#fd < 0) return;
    const security = this.parts.tls!.server({ ...tls, ...(first.alpn && { alpn: first.alpn }) });
    this.#security.free();
    this.#security = security;
  }

  close(queued: 'reset' | 'accept' = 'reset'): void {
    if (queued === 'accept') this.#acceptAll();
    if (this.#fd < 0) return;
    const { libc, loop } = this.parts;
    loop.clearTimer(this.#retry);
    loop.clearTimer(this.#yield);
    loop.remove(this.#fd);
    if (!this.#loads) libc.close(this.#fd);
    this.#fd = -1;
    loop.hold(-1);
    this.#security?.free();
    const { at } = this.options;
    if ('path' in at && !at.path.startsWith('\0')) rmSync(at.path, { force: true });
  }

  closeConnections(): void {
    this.#connections.each((connection) => connection.close());
  }

  onEvents(): void {
    if (this.#yields) return;
    if (this.#isAhead()) {
      this.#yields = true;
      this.parts.loop.setTimer(this.#yield, YIELD_MS);
    } else this.#accept();
  }

  /** What was left for this turn. */
  run(): void {
    this.onEvents();
  }

  /** Whether another thread should accept first. */
  #isAhead(): boolean {
    if (!this.#loads) return false;
    this.#loads.add(this.#connections.size - this.#told);
    this.#told = this.#connections.size;
    return this.#loads.isAhead;
  }

  #watch(fd: number): void {
    if (this.#loads) this.parts.loop.addShared(fd, this);
    else this.parts.loop.addEdge(fd, this);
  }

  #accept(): void {
    this.#ready = this.#fd >= 0 && !this.#paused;
    const quota = this.#loads ? SHARED_QUOTA : QUOTA;
    try {
      for (let left = quota; left > 0 && this.#ready; left--)
        this.#ready = this.#acceptOne() && !this.#paused;
    } finally {
      if (this.#ready && this.#fd >= 0) this.parts.loop.defer(this);
    }
  }

  #acceptAll(): void {
    // No more come, but one: it ends. The owner of a shared one sees to that.
    if (this.#fd >= 0 && !this.#loads) this.parts.libc.listen(this.#fd, 0);
    while (this.#fd >= 0 && this.#acceptOne());
  }

  /** @returns whether more may wait */
  #acceptOne(): boolean {
    const { libc, name, nameLength } = this.parts;
    nameLength.writeUInt32LE(name.length);
    const fd = libc.accept4(this.#fd, name, nameLength, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return this.#failed(libc.errno());
    this.#failing = false;
    const accepted = this.#admit(fd);
    if (accepted instanceof StreamConnection) this.options.onConnection(accepted);
    return this.#fd >= 0;
  }

  #failed(errno: number): boolean {
    if (PASSING.has(errno)) return true;
    if (errno === ERRNO.EAGAIN) return false;
    this.parts.loop.setTimer(this.#retry, RETRY_MS);
    if (!this.#failing) {
      this.#failing = true;
      this.options.onAcceptError?.(systemError(errno, 'accept'));
    }
    return false;
  }

  /** @returns undefined: it may not go on, and is closed; or its descriptor was given away */
  #admit(fd: number): Closable | undefined {
    const limit = this.#descriptors;
    let accepted: Closable | undefined;
    let given = false;
    let ended: (() => void) | undefined;
    try {
      const peer = this.parts.decodeName();
      const scarce = takesReserve(fd, limit) ? limit : undefined;
      const admitted = this.options.admit?.(peer, scarce);
      if (admitted === false) return undefined;
      if (typeof admitted === 'function') ended = admitted;
      given = this.#take !== undefined;
      if (this.#take) this.#take(fd, peer);
      else accepted = this.#open(fd, peer);
      return accepted;
    } finally {
      if (!accepted && !given) this.parts.libc.close(fd);
      if (accepted instanceof Securing) accepted.onEnded = ended;
      else ended?.();
    }
  }

  #open(fd: number, peer: SocketAddress | undefined): Closable | undefined {
    const { parts } = this;
    const channel = this.#security?.accept(fd) ?? new PlainChannel(parts.libc, fd);
    try {
      const facts = { peer, local: this.#isWildcard ? parts.localOf(fd) : this.local };
      return this.#security || this.options.preamble
        ? new Securing(parts, fd, channel, facts, this.#connections, this.options)
        : new StreamConnection(parts, fd, channel, facts, this.#connections);
    } catch (error) {
      channel.free();
      throwInternal(error);
      this.options.onAcceptError?.(error as Error);
      return undefined;
    }
  }
}
