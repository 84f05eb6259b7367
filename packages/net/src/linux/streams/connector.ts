import { throwInternal } from 'mproxy-base';
import { timedOut } from '../../socket-errors.js';
import { CONNECT_MS, KEEPALIVE_MS } from '../../stream-defaults.js';
import type { ConnectOptions } from '../../streams.js';
import { ERRNO, systemError } from '../errno.js';
import { type EdgeHandler, EPOLLERR, EPOLLHUP, EPOLLOUT, type Job } from '../loop.js';
import { getOption, setOption } from '../options.js';
import { bindSocket } from '../socket.js';
import { Timer } from '../timer-wheel.js';
import { StreamConnection } from './connection.js';
import type { StreamParts } from './parts.js';
import { PlainChannel } from './plain-channel.js';
import { addressName, openStreamSocket, tuneTcp } from './stream-socket.js';

/** What became of an attempt to connect; one of the two is called once, in a turn of the loop. */
export interface Outcome {
  onConnected(connection: StreamConnection): void;
  onError(error: unknown): void;
}

/** An attempt to connect, without TLS. It knows a loop and nothing of Node's, as {@link StreamConnection}. */
export class Connector implements EdgeHandler, Job {
  /** -1: none, or it is that of the connection. */
  #fd = -1;
  #over = false;
  #error: unknown;
  readonly #timer = new Timer(() => this.#fail(timedOut('timed out')));

  constructor(
    private readonly parts: StreamParts,
    options: Omit<ConnectOptions, 'tls' | 'signal'>,
    private readonly outcome: Outcome,
  ) {
    parts.loop.hold(1);
    try {
      this.#begin(options);
      parts.loop.setTimer(this.#timer, options.timeout ?? CONNECT_MS);
    } catch (error) {
      this.cancel(error);
    }
  }

  /** Gives up, unless it is connected or failed already. */
  cancel(reason: unknown): void {
    if (this.#over) return;
    this.#end();
    this.#error = reason;
    this.parts.loop.defer(this);
  }

  onEvents(events: number): void {
    if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) this.#finished();
  }

  /** Reports a failure from outside of the loop's turns. */
  run(): void {
    this.outcome.onError(this.#error);
  }

  #begin({ to, bind, keepAlive = KEEPALIVE_MS.connected }: Omit<ConnectOptions, 'tls' | 'signal'>): void {
    const { libc, loop } = this.parts;
    const name = addressName(libc, to);
    const fd = openStreamSocket(libc, to);
    this.#fd = fd;
    if (bind) {
      // The port may be that of a connection that is closing (TIME_WAIT, tcp(7)).
      setOption(libc, fd, 'SO_REUSEADDR', 1);
      bindSocket(libc, fd, bind);
    }
    if (!('path' in to)) tuneTcp(libc, fd, keepAlive);
    const errno = libc.connect(fd, name, name.length) === 0 ? 0 : libc.errno();
    if (errno !== 0 && errno !== ERRNO.EINPROGRESS) throw systemError(errno, 'connect');
    // Writable tells that it is connected, or failed (connect(2), EINPROGRESS).
    loop.addEdge(fd, this);
  }

  #finished(): void {
    let connection: StreamConnection;
    try {
      connection = this.#connected();
    } catch (error) {
      throwInternal(error);
      this.#fail(error);
      return;
    }
    this.#fd = -1;
    this.#end();
    this.outcome.onConnected(connection);
  }

  /** @throws the system's error */
  #connected(): StreamConnection {
    const { libc, loop } = this.parts;
    const fd = this.#fd;
    const errno = getOption(libc, fd, 'SO_ERROR');
    if (errno !== 0) throw systemError(errno, 'connect');
    const facts = { peer: this.parts.peerOf(fd), local: this.parts.localOf(fd) };
    loop.remove(fd);
    return new StreamConnection(this.parts, fd, new PlainChannel(libc, fd), facts);
  }

  #fail(error: unknown): void {
    this.#end();
    this.outcome.onError(error);
  }

  #end(): void {
    const { libc, loop } = this.parts;
    this.#over = true;
    loop.hold(-1);
    loop.clearTimer(this.#timer);
    if (this.#fd < 0) return;
    loop.forget(this.#fd);
    libc.close(this.#fd);
    this.#fd = -1;
  }
}
