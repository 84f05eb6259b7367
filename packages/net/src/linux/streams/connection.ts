import type { Listed, Roster, SocketAddress } from 'mproxy-base';
import type { Connection, ConnectionHandler, ConnectOptions, TlsClient, TlsFacts } from '../../streams.js';
import { ERRNO, systemError } from '../errno.js';
import type { IoVectors } from '../io-vectors.js';
import { type EdgeHandler, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, type Job } from '../loop.js';
import { getOption, setOption } from '../options.js';
import { unacknowledged } from '../socket.js';
import type { Channel } from './channel.js';
import { Deadline, IdleLimit } from './limits.js';
import type { StreamParts } from './parts.js';
import { Sending } from './sending.js';

/** Bytes that one connection receives before it is others' turn. */
const QUOTA = 128 * 1024;
/** Limit on a close that still has to tell the peer of the end, in milliseconds. */
const CLOSE_MS = 10_000;
/** struct linger: on, for 0 s (socket(7), SO_LINGER): close(2) resets. */
const RESET = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

export interface ConnectionFacts {
  peer: SocketAddress | undefined;
  local: SocketAddress | undefined;
  tls?: TlsFacts;
}

/** The connections of a listener. */
export type Siblings = Pick<Set<Closable>, 'add' | 'delete'> | Roster<Closable>;

/** What a listener closes: its connections, and those in a handshake. */
export interface Closable extends Listed {
  close(): void;
}

/**
 * A connection on a non-blocking descriptor, with or without TLS. It knows a {@link Loop} and nothing of Node's, so that it runs in every
 * thread that turns one. Its callbacks are called in turns of the loop alone.
 *
 * What edges tell is remembered until EAGAIN: that it is readable, and that it is writable. What cannot be done at once, be it that the
 * quota is used up or that a callback may not be called now, is a job for the next turn.
 */
export class StreamConnection implements Connection, EdgeHandler, Job {
  readonly peer: SocketAddress | undefined;
  readonly local: SocketAddress | undefined;
  readonly tls: TlsFacts | undefined;
  received = 0;
  slot: number | undefined;
  /** -1: closed. */
  #fd: number;
  #handler: ConnectionHandler | undefined;
  #error: Error | undefined;
  #reported = false;
  #deferred = false;
  readonly #sending: Sending;
  #readable = false;
  /** Received bytes that are delivered again. */
  #back: Buffer | undefined;
  /** The peer has ended, or something failed: it is read until that tells which. */
  #hangup = false;
  /** The handler was told of it, see {@link ConnectionHandler.onHangup}. */
  #hangupTold = false;
  #paused = false;
  /** The peer's end was read. */
  #ended = false;
  /** What is still received is discarded, and nothing but `onDrain` and `onClose` called. */
  #discards = false;
  /** It closes when the end is sent. */
  #closing = false;
  /** See {@link Loop.hold}. */
  #holds = false;
  #deadline: Deadline | undefined;
  #idle: IdleLimit | undefined;

  /**
   * @param fd it is taken, unless this throws
   * @param siblings the connections of its listener: it is among them until it is closed
   * @throws the system's error (epoll_ctl(2))
   */
  constructor(
    private readonly parts: StreamParts,
    fd: number,
    private readonly channel: Channel,
    { peer, local, tls }: ConnectionFacts,
    private readonly siblings?: Siblings,
  ) {
    this.peer = peer;
    this.local = local;
    this.tls = tls;
    this.#fd = fd;
    this.#sending = new Sending(parts, channel);
    parts.loop.addEdge(fd, this);
    siblings?.add(this);
  }

  start(handler: ConnectionHandler): void {
    this.#handler = handler;
    if (this.#fd < 0) this.#defer();
    else this.#goOn();
  }

  putBack(bytes: Uint8Array): void {
    this.#handler = undefined;
    this.#back = bytes.length > 0 ? Buffer.from(bytes) : undefined;
    this.received -= bytes.length;
    this.#goOn();
  }

  async secure(
    tls: TlsClient,
    options: Pick<ConnectOptions, 'timeout' | 'signal'> = {},
  ): Promise<Connection> {
    const { upgrade } = this.parts;
    if (!upgrade) throw new Error('this thread has no TLS');
    return upgrade(this.detach(), tls, options);
  }

  /**
   * Lets go of the descriptor, for what goes on with it, such as a TLS handshake (handshake.ts). Nothing is reported any more.
   * @throws if it is closed already
   */
  detach(): number {
    if (this.#fd < 0) throw this.#error ?? new Error('the connection is closed already');
    const fd = this.#fd;
    this.#handler = undefined;
    this.parts.loop.remove(fd);
    this.#release();
    return fd;
  }

  pause(): void {
    this.#paused = true;
    this.#goOn();
  }

  resume(): void {
    this.#paused = false;
    this.#goOn();
  }

  write(bytes: readonly Uint8Array[]): boolean {
    const taken = this.#fd >= 0 && this.#sending.write(bytes);
    this.#goOn();
    return taken;
  }

  offer(bytes: Uint8Array): number {
    const taken = this.#fd < 0 ? 0 : this.#sending.offer(bytes);
    this.#goOn();
    return taken;
  }

  /** As {@link offer}, for buffers of writev(2): nothing is copied. What is left must be written next. */
  offerVectors(vectors: IoVectors): number {
    const taken = this.#fd < 0 ? 0 : this.#sending.offerVectors(vectors);
    if (taken < vectors.bytes) this.#goOn();
    return taken;
  }

  get writing(): boolean {
    return this.#sending.writing;
  }

  end(): void {
    if (this.#fd >= 0) this.#sending.end();
    this.#goOn();
  }

  linger(limit: number): void {
    if (this.#fd < 0) return;
    this.#discards = true;
    this.#paused = false;
    this.#closeWithin(limit);
    this.end();
  }

  close(error?: Error): void {
    if (this.#fd < 0) return;
    if (error || this.#sending.state !== 'ending' || this.writing) this.#shut(error);
    else {
      this.#discards = true;
      this.#closing = true;
      this.#closeWithin(CLOSE_MS);
    }
  }

  abort(error?: Error): void {
    if (this.#fd < 0) return;
    // A Unix socket has no reset: closed with unread bytes, its peer gets ECONNRESET all the same (unix(7)).
    if (this.peer) setOption(this.parts.libc, this.#fd, 'SO_LINGER', RESET);
    this.#shut(error);
  }

  limitIdle(ms: number): void {
    if (this.#fd < 0) return;
    this.#idle ??= new IdleLimit(
      this.parts.loop,
      () => this.received + this.#sending.taken,
      () => !this.#discards && this.#handler?.onIdle?.(),
    );
    this.#idle.set(ms);
  }

  get sent(): number {
    return this.#sending.taken;
  }

  unacknowledged(): number | undefined {
    return this.#fd < 0 ? undefined : unacknowledged(this.parts.libc, this.#fd);
  }

  /** What was left for this turn. */
  run(): void {
    this.#deferred = false;
    if (this.#fd >= 0) this.#serve();
    else if (this.#handler && !this.#reported) {
      this.#reported = true;
      this.#handler.onClose(this.#error);
    }
  }

  /** What the kernel tells. */
  onEvents(events: number): void {
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) this.#hangup = true;
    if (events & EPOLLIN || this.#hangup) this.#readable = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) this.#sending.writable = true;
    // TLS may have to send in order to receive, and the reverse.
    if (!this.channel.exact) this.#readable = this.#sending.writable = true;
    if (events & EPOLLERR && this.#isDeaf()) this.#failed();
    this.#serve();
  }

  #serve(): void {
    try {
      if (this.#sending.writable) this.#sending.go();
      if (this.#handler && this.#sending.drained) {
        this.#sending.told();
        this.#handler.onDrain?.();
      }
      this.#receive();
      if (this.#hangupDue()) {
        this.#hangupTold = true;
        this.#handler?.onHangup?.();
      }
    } finally {
      this.#goOn();
    }
  }

  #receive(): void {
    const { received, receivedAddress } = this.parts;
    if (this.#back && this.#reads()) this.#deliverBack(this.#back);
    for (let left = QUOTA; left > 0 && this.#readable && this.#reads(); ) {
      const count = this.channel.receive(receivedAddress, received.length);
      if (count <= 0) {
        this.#unsuccessful(count);
        return;
      }
      left -= count;
      this.received += count;
      if (count < received.length && this.channel.exact && !this.#hangup) this.#readable = false;
      if (!this.#discards) this.#handler?.onData(this.parts.view(count));
    }
  }

  #deliverBack(bytes: Buffer): void {
    this.#back = undefined;
    this.received += bytes.length;
    if (!this.#discards) this.#handler?.onData(bytes);
  }

  /** @param result of the channel: 0, or a negative errno */
  #unsuccessful(result: number): void {
    const again = result === -ERRNO.EAGAIN;
    const { error } = this.#sending;
    this.#readable = false;
    if (result < 0 && !again) this.#shut(this.channel.error ?? systemError(-result, 'read'));
    else if (error) this.#shut(error);
    else if (!again) {
      this.#ended = true;
      if (!this.#discards) this.#handler?.onEnd();
    }
  }

  #reads(): boolean {
    if (this.#fd < 0 || this.#ended) return false;
    return this.#discards || (this.#handler !== undefined && !this.#paused);
  }

  /** Whether the peer has ended, no read will tell of it soon, and somebody wants to know. */
  #hangupDue(): boolean {
    if (!this.#hangup || !this.#paused || this.#hangupTold || this.#ended || this.#discards) return false;
    return this.#fd >= 0 && this.#handler?.onHangup !== undefined;
  }

  /** Whether no read will tell of an error. */
  #isDeaf(): boolean {
    return this.#ended || this.#closing || (this.#paused && this.#handler !== undefined);
  }

  /** Closes if there is an error that no read tells of. */
  #failed(): void {
    const errno = getOption(this.parts.libc, this.#fd, 'SO_ERROR');
    if (errno !== 0) this.#shut(systemError(errno, 'read'));
  }

  /** Sees to it that what is possible, or due, happens. */
  #goOn(): void {
    const { state, error, writable, due, drained } = this.#sending;
    this.#idle?.look();
    if (this.#fd >= 0) {
      // What was received before is delivered first: a read tells the end of it.
      if (error) this.#readable = this.#hangup = true;
      if (error && this.#isDeaf()) this.#shut(error);
      else if (state === 'ended' && (this.#ended || this.#closing)) this.#shut();
    }
    const sends = this.#fd >= 0 && (due || (drained && this.#handler !== undefined));
    if (((this.#readable || this.#back) && this.#reads()) || (writable && sends) || this.#hangupDue())
      this.#defer();
    // As sockets of Node, one that is paused and sends nothing does not keep the process going.
    const holds = this.#reads() || sends;
    if (holds === this.#holds) return;
    this.#holds = holds;
    this.parts.loop.hold(holds ? 1 : -1);
  }

  /** Closes after this time, unless it was to be closed earlier. */
  #closeWithin(ms: number): void {
    this.#deadline ??= new Deadline(this.parts.loop, () => this.#shut());
    this.#deadline.within(ms);
  }

  #shut(error?: Error): void {
    if (this.#fd < 0) return;
    const { libc, loop } = this.parts;
    const fd = this.#fd;
    this.#error = error;
    this.#release();
    loop.forget(fd);
    libc.close(fd);
    this.#defer();
  }

  /** Lets go of the descriptor. */
  #release(): void {
    this.#fd = -1;
    this.#idle?.set(0);
    this.#deadline?.clear();
    this.#sending.clear();
    this.channel.free();
    this.siblings?.delete(this);
    this.#goOn();
  }

  #defer(): void {
    if (this.#deferred) return;
    this.#deferred = true;
    this.parts.loop.defer(this);
  }
}
