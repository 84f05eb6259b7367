import type { SocketAddress } from 'mproxy-base';
import type { StreamOpeners } from '../../stream-openers.js';
import type { Connection, ConnectionHandler, Preamble, TlsClient, TlsFacts } from '../../streams.js';
import { ERRNO, systemError } from '../errno.js';
import type { IoVectors } from '../io-vectors.js';
import { type EdgeHandler, EPOLLERR, EPOLLHUP, EPOLLOUT, type Job } from '../loop.js';
import { getOption, setOption } from '../options.js';
import type { Channel } from './channel.js';
import { IdleLimit } from './limits.js';
import type { StreamParts } from './parts.js';
import { Place, type Siblings } from './place.js';
import { Receiving } from './receiving.js';
import { Sending } from './sending.js';
import type { TurnSender } from './turn-output.js';

/** The most bytes that are collected at once. */
const COLLECTED = 4096;
/** Limit on a close that still has to tell the peer of the end, in milliseconds. */
const CLOSE_MS = 10_000;

export interface ConnectionFacts {
  peer: SocketAddress | undefined;
  local: SocketAddress | undefined;
  tls?: TlsFacts | undefined;
  preamble?: Preamble | undefined;
}

/**
 * A connection on a non-blocking descriptor, with or without TLS. It knows a {@link Loop} and nothing of Node's, so that it runs in every
 * thread that turns one. Its callbacks are called in turns of the loop alone.
 *
 * What edges tell is remembered until EAGAIN: that it is readable, and that it is writable. What cannot be done at once, be it that the
 * quota is used up or that a callback may not be called now, is a job for the next turn.
 */
export class StreamConnection implements Connection, EdgeHandler, Job, TurnSender {
  readonly peer: SocketAddress | undefined;
  readonly local: SocketAddress | undefined;
  readonly tls: TlsFacts | undefined;
  readonly preamble: Preamble | undefined;
  slot: number | undefined;
  readonly #place: Place;
  #error: Error | undefined;
  readonly #receiving: Receiving;
  readonly #sending: Sending;
  /** Bytes of it are in {@link StreamParts.turnOutput}. */
  #isCollected = false;
  /** It closes when the end is sent. */
  #closing = false;
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
    { peer, local, tls, preamble }: ConnectionFacts,
    siblings?: Siblings,
  ) {
    this.peer = peer;
    this.local = local;
    this.tls = tls;
    this.preamble = preamble;
    this.#receiving = new Receiving(parts, channel);
    this.#sending = new Sending(parts, channel);
    this.#place = new Place(parts, fd, this, () => this.#shut(), siblings);
  }

  get received(): number {
    return this.#receiving.bytes;
  }

  start(handler: ConnectionHandler): void {
    this.#receiving.handler = handler;
    if (this.#place.fd < 0) this.#place.defer();
    else this.#goOn();
  }

  putBack(bytes: Uint8Array): void {
    this.#receiving.putBack(bytes);
    this.#goOn();
  }

  async secure(tls: TlsClient, options: Parameters<StreamOpeners['secure']>[2] = {}): Promise<Connection> {
    const { upgrade } = this.parts;
    if (!upgrade) throw new Error('this thread has no TLS');
    return upgrade(this.detach(), tls, options);
  }

  /**
   * Lets go of the descriptor, for what goes on with it, such as a TLS handshake (handshake.ts). Nothing is reported any more.
   * @throws if it is closed already
   */
  detach(): number {
    this.#flush();
    if (this.#place.fd < 0) throw this.#error ?? new Error('the connection is closed already');
    const fd = this.#place.leave();
    this.#receiving.handler = undefined;
    this.parts.loop.remove(fd);
    this.#release();
    return fd;
  }

  pause(): void {
    this.#receiving.paused = true;
    this.#goOn();
  }

  resume(): void {
    this.#receiving.paused = false;
    this.#goOn();
  }

  write(bytes: readonly Uint8Array[]): boolean {
    this.#flush();
    const taken = this.#place.fd >= 0 && this.#sending.write(bytes);
    this.#goOn();
    return taken;
  }

  offer(bytes: Uint8Array, soon = false): number {
    if (soon && bytes.length <= COLLECTED && this.#place.fd >= 0 && this.#sending.mayCollect) {
      this.#isCollected = true;
      this.#sending.taken += bytes.length;
      this.parts.turnOutput.add(this, bytes);
      this.#idle?.look();
      return bytes.length;
    }
    this.#flush();
    const taken = this.#place.fd < 0 ? 0 : this.#sending.offer(bytes);
    this.#goOn();
    return taken;
  }

  /** As {@link offer}, for buffers of writev(2): nothing is copied. What is left must be written next. */
  offerVectors(vectors: IoVectors): number {
    this.#flush();
    const taken = this.#place.fd < 0 ? 0 : this.#sending.offerVectors(vectors);
    if (taken < vectors.bytes) this.#goOn();
    return taken;
  }

  get writing(): boolean {
    return this.#sending.writing;
  }

  /** The end of the turn, or an earlier need to send them. */
  sendCollected(memory: Buffer, address: number, start: number, end: number): void {
    this.#isCollected = false;
    if (!this.#sending.sendCollected(memory, address, start, end)) this.#goOn();
  }

  end(): void {
    this.#flush();
    if (this.#place.fd >= 0) this.#sending.end();
    this.#goOn();
  }

  linger(limit: number): void {
    if (this.#place.fd < 0) return;
    this.#receiving.discards = true;
    this.#receiving.paused = false;
    this.#place.within(limit);
    this.end();
  }

  close(error?: Error): void {
    this.#flush();
    if (this.#place.fd < 0) return;
    if (error || this.#sending.state !== 'ending' || this.writing) this.#shut(error);
    else {
      this.#receiving.discards = true;
      this.#closing = true;
      this.#place.within(CLOSE_MS);
    }
  }

  abort(error?: Error): void {
    this.#flush();
    if (this.#place.fd < 0) return;
    // A Unix socket has no reset: closed with unread bytes, its peer gets ECONNRESET all the same (unix(7)).
    if (this.peer) this.#place.reset();
    this.#shut(error);
  }

  limitIdle(ms: number): void {
    if (this.#place.fd < 0) return;
    this.#idle ??= new IdleLimit(
      this.parts.loop,
      () => this.received + this.#sending.taken,
      () => !this.#receiving.discards && this.#receiving.handler?.onIdle?.(),
    );
    this.#idle.set(ms);
  }

  get sent(): number {
    return this.#sending.taken;
  }

  userTimeout(ms: number): void {
    // A Unix socket has no peer that could be lost.
    if (this.#place.fd >= 0 && this.peer) setOption(this.parts.libc, this.#place.fd, 'TCP_USER_TIMEOUT', ms);
  }

  unacknowledged(): number | undefined {
    this.#flush();
    return this.#place.unacknowledged();
  }

  /** What was left for this turn. */
  run(): void {
    this.#place.ran();
    if (this.#place.fd >= 0) this.#serve();
    else this.#receiving.close(this.#error);
  }

  /** What the kernel tells. */
  onEvents(events: number): void {
    this.#receiving.onEvents(events);
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) this.#sending.writable = true;
    // TLS may have to send in order to receive, and the reverse.
    if (!this.channel.exact) this.#receiving.readable = this.#sending.writable = true;
    if (events & EPOLLERR && (this.#receiving.deaf || this.#closing)) {
      const errno = getOption(this.parts.libc, this.#place.fd, 'SO_ERROR');
      if (errno !== 0) this.#shut(systemError(errno, 'read'));
    }
    if (this.#place.fd >= 0) this.#serve();
  }

  #serve(): void {
    const { handler } = this.#receiving;
    try {
      if (this.#sending.writable && this.#sending.due) this.#sending.go();
      if (handler && this.#sending.drained) {
        this.#sending.told();
        handler.onDrain?.();
      }
      const result = this.#receiving.go();
      if (result <= 0) this.#unsuccessful(result);
      else this.#receiving.tellHangup();
    } finally {
      this.#goOn();
    }
  }

  /** @param result of the channel: 0, or a negative errno */
  #unsuccessful(result: number): void {
    const again = result === -ERRNO.EAGAIN;
    const { error } = this.#sending;
    if (result < 0 && !again) this.#shut(this.channel.error ?? systemError(-result, 'read'));
    else if (error) this.#shut(error);
    else if (!again) {
      this.#receiving.ended = true;
      if (!this.#receiving.discards) this.#receiving.handler?.onEnd();
    }
  }

  /** Sees to it that what is possible, or due, happens. */
  #goOn(): void {
    const { state, error, writable, due, drained } = this.#sending;
    const receiving = this.#receiving;
    this.#idle?.look();
    if (this.#place.fd >= 0) {
      // What was received before is delivered first: a read tells the end of it.
      if (error) receiving.readable = receiving.hangup = true;
      if (error && (receiving.deaf || this.#closing)) this.#shut(error);
      else if (state === 'ended' && (receiving.ended || this.#closing)) this.#shut();
    }
    const { reads } = receiving;
    const sends = this.#place.fd >= 0 && (due || (drained && receiving.handler !== undefined));
    if ((receiving.ready && reads) || (writable && sends) || receiving.hangupDue) this.#place.defer();
    // As sockets of Node, one that is paused and sends nothing does not keep the process going.
    this.#place.hold(reads || sends);
  }

  #flush(): void {
    if (this.#isCollected) this.parts.turnOutput.flush();
  }

  #shut(error?: Error): void {
    this.#flush();
    if (this.#place.fd < 0) return;
    const fd = this.#place.leave();
    this.#error = error;
    this.#release();
    this.#place.close(fd);
    this.#place.defer();
  }

  /** The descriptor is gone. */
  #release(): void {
    this.#receiving.ended = true;
    this.#idle?.set(0);
    this.#sending.clear();
    this.channel.free();
    this.#goOn();
  }
}
