import type { Connection, ConnectOptions, Streams, StreamTimer } from '../../streams.js';
import type { Loop } from '../loop.js';
import { Timer } from '../timer-wheel.js';
import { cancellable } from './cancellable.js';
import { Connector } from './connector.js';
import { Listener } from './listener.js';
import type { StreamParts } from './parts.js';
import { LinuxSharedSocket } from './shared-socket.js';

/**
 * Stream sockets of a thread on its loop, with promises: for a thread that has Node's event loop (see HostedLoop). One that blocks in its
 * loop has no promises: it makes a {@link Listener}, a {@link Connector} or a {@link Handshake} of the parts, whose callbacks are called in
 * `loop.turn()`, and {@link Timer}s. test/net/blocking-loop.test.ts shows all of it.
 *
 * @param secure opens those with TLS
 */
export function linuxStreams(parts: StreamParts, secure: Pick<Streams, 'listen' | 'connect'>): Streams {
  return {
    listen: async (options) => (options.tls ? secure.listen(options) : new Listener(parts, options)),
    connect: async (options) => (options.tls ? secure.connect(options) : connectPlain(parts, options)),
    share: (options) => new LinuxSharedSocket(parts.libc, options),
    timer: (onDue) => new LoopTimer(parts.loop, onDue),
  };
}

/** Connects without TLS. */
export function connectPlain(
  parts: StreamParts,
  { signal, ...options }: ConnectOptions,
): Promise<Connection> {
  return cancellable<Connection>(
    signal,
    (onConnected, onError) => new Connector(parts, options, { onConnected, onError }),
  );
}

export class LoopTimer implements StreamTimer {
  readonly #timer: Timer;

  constructor(
    private readonly loop: Loop,
    onDue: () => void,
  ) {
    this.#timer = new Timer(onDue);
  }

  set(ms: number): void {
    this.loop.setTimer(this.#timer, ms);
  }

  clear(): void {
    this.loop.clearTimer(this.#timer);
  }
}
