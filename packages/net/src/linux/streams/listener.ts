import { rmSync } from 'node:fs';
import { type SocketAddress, throwInternal } from 'mproxy-base';
import { descriptorLimit, takesReserve } from '../../descriptors.js';
import { BACKLOG, KEEPALIVE_MS } from '../../stream-defaults.js';
import type {
  ListenAddress,
  ListenOptions,
  StreamListener,
  TakeDescriptor,
  TlsServer,
} from '../../streams.js';
import { ERRNO, systemError } from '../errno.js';
import type { Libc } from '../libc.js';
import type { EdgeHandler, Job } from '../loop.js';
import { getOption, setOption } from '../options.js';
import { Timer } from '../timer-wheel.js';
import type { ServerContext } from '../tls/server-context.js';
import { StreamConnection } from './connection.js';
import type { StreamParts } from './parts.js';
import type { Closable } from './place.js';
import { PlainChannel } from './plain-channel.js';
import { Securing } from './securing.js';
import { addressName, openStreamSocket, SOCK_CLOEXEC, SOCK_NONBLOCK, tuneTcp } from './stream-socket.js';

/** Connections accepted before it is others' turn. */
const QUOTA = 64;
/** When it tries again after accept(2) failed, in milliseconds: no event tells that descriptors or memory are there again. */
const RETRY_MS = 100;
/** <asm-generic/ioctls.h> */
const FIONBIO = 0x5421;

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
  readonly #connections = new Set<Closable>();
  #security: ServerContext | undefined;
  /** Whether connections differ in their local address. */
  readonly #isWildcard: boolean;
  readonly #descriptors = descriptorLimit();
  /** Until EAGAIN says otherwise. */
  #ready = false;
  /** accept(2) failed, and was not successful since. */
  #failing = false;
  readonly #retry = new Timer(() => this.#accept());
  #take: TakeDescriptor | undefined;

  /** @throws the system's error, or that of TLS */
  constructor(
    private readonly parts: StreamParts,
    private readonly options: ListenOptions,
  ) {
    const { libc, loop } = parts;
    // Invalid certificates are found before anything is opened.
    if (options.tls) this.#security = parts.tls!.server(options.tls);
    let fd = -1;
    try {
      fd = openListening(parts, options);
      this.local = parts.localOf(fd);
      this.#isWildcard = this.local?.address === '0.0.0.0' || this.local?.address === '::';
      if (!options.held) loop.addEdge(fd, this);
    } catch (error) {
      this.#security?.free();
      if (fd >= 0) libc.close(fd);
      throw error;
    }
    this.#fd = fd;
    loop.hold(1);
  }

  accept(take?: TakeDescriptor): void {
    this.#take = take;
    if (this.#fd < 0) return;
    this.parts.loop.addEdge(this.#fd, this);
    if (take) this.#accept();
  }

  get connections(): number {
    return this.#connections.size;
  }

  secure(tls: Omit<TlsServer, 'alpn'>): void {
    const { tls: first } = this.options;
    if (!first || !this.#security) throw new Error('a listener without TLS has no certificates');
    if (this.#fd < 0) return;
    if ((tls.clientCa === undefined) !== (first.clientCa === undefined))
      throw new Error('whether clients need a certificate cannot change while a listener is open');
    const security = this.parts.tls!.server({ ...tls, ...(first.alpn && { alpn: first.alpn }) });
    this.#security.free();
    this.#security = security;
  }

  close(): void {
    if (this.#fd < 0) return;
    const { libc, loop } = this.parts;
    loop.clearTimer(this.#retry);
    loop.remove(this.#fd);
    libc.close(this.#fd);
    this.#fd = -1;
    loop.hold(-1);
    this.#security?.free();
    const { at } = this.options;
    if ('path' in at && !at.path.startsWith('\0')) rmSync(at.path, { force: true });
  }

  closeConnections(): void {
    for (const connection of [...this.#connections]) connection.close();
  }

  onEvents(): void {
    this.#accept();
  }

  /** What was left for this turn. */
  run(): void {
    this.#accept();
  }

  #accept(): void {
    this.#ready = this.#fd >= 0;
    try {
      for (let left = QUOTA; left > 0 && this.#ready; left--) this.#acceptOne();
    } finally {
      if (this.#ready && this.#fd >= 0) this.parts.loop.defer(this);
    }
  }

  #acceptOne(): void {
    const { libc, name, nameLength } = this.parts;
    nameLength.writeUInt32LE(name.length);
    const fd = libc.accept4(this.#fd, name, nameLength, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      this.#failed(libc.errno());
      return;
    }
    this.#failing = false;
    const accepted = this.#admit(fd);
    if (accepted instanceof StreamConnection) this.options.onConnection(accepted);
    if (this.#fd < 0) this.#ready = false;
  }

  #failed(errno: number): void {
    if (PASSING.has(errno)) return;
    this.#ready = false;
    if (errno === ERRNO.EAGAIN) return;
    this.parts.loop.setTimer(this.#retry, RETRY_MS);
    if (this.#failing) return;
    this.#failing = true;
    this.options.onAcceptError?.(systemError(errno, 'accept'));
  }

  /** @returns undefined: it may not go on, and is closed; or its descriptor was given away */
  #admit(fd: number): Closable | undefined {
    const limit = this.#descriptors;
    let accepted: Closable | undefined;
    let given = false;
    try {
      const peer = this.parts.decodeName();
      const scarce = takesReserve(fd, limit) ? limit : undefined;
      if (this.options.admit?.(peer, scarce) === false) return undefined;
      given = this.#take !== undefined;
      if (this.#take) this.#take(fd, peer);
      else accepted = this.#open(fd, peer);
      return accepted;
    } finally {
      if (!accepted && !given) this.parts.libc.close(fd);
    }
  }

  #open(fd: number, peer: SocketAddress | undefined): Closable | undefined {
    const { parts } = this;
    const channel = this.#security?.accept(fd);
    try {
      const facts = { peer, local: this.#isWildcard ? parts.localOf(fd) : this.local };
      return channel
        ? new Securing(parts, fd, channel, facts, this.#connections, this.options)
        : new StreamConnection(parts, fd, new PlainChannel(parts.libc, fd), facts, this.#connections);
    } catch (error) {
      channel?.free();
      throwInternal(error);
      this.options.onAcceptError?.(error as Error);
      return undefined;
    }
  }
}

/** @throws the system's error */
function openListening(parts: StreamParts, options: ListenOptions): number {
  const { libc } = parts;
  const { at, backlog = BACKLOG, keepAlive = KEEPALIVE_MS.accepted } = options;
  if ('fd' in at) return inherit(parts, at.fd, keepAlive);
  const fd = openStreamSocket(libc, at);
  try {
    bind(libc, fd, at);
    if (!('path' in at)) tuneTcp(libc, fd, keepAlive);
    if (libc.listen(fd, backlog) !== 0) throw systemError(libc.errno(), 'listen');
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function bind(libc: Libc, fd: number, at: Exclude<ListenAddress, { fd: number }>): void {
  const isIp = !('path' in at);
  // Connections of an earlier listener that are closing do not keep its port (TIME_WAIT, tcp(7)).
  if (isIp) setOption(libc, fd, 'SO_REUSEADDR', 1);
  if (isIp && at.address.includes(':')) setOption(libc, fd, 'IPV6_V6ONLY', at.ipv6Only ? 1 : 0);
  const name = addressName(libc, at);
  if (libc.bind(fd, name, name.length) !== 0) throw systemError(libc.errno(), 'listen');
}

/** Takes a socket that listens already. @throws EINVAL for any other descriptor */
function inherit(parts: StreamParts, fd: number, keepAlive: number): number {
  const { libc } = parts;
  if (getOption(libc, fd, 'SO_ACCEPTCONN') === 0) throw systemError(ERRNO.EINVAL, 'accept');
  const on = Buffer.from([1, 0, 0, 0]);
  if (libc.ioctl(fd, FIONBIO, on) !== 0) throw systemError(libc.errno(), 'ioctl FIONBIO');
  if (parts.localOf(fd)) tuneTcp(libc, fd, keepAlive);
  return fd;
}
