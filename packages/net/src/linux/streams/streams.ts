import type { Connection, ConnectOptions, Streams, StreamTimer } from '../../streams.js';
import type { Loop } from '../loop.js';
import { Timer } from '../timer-wheel.js';
import { Connector } from './connector.js';
import { PlainListener } from './listener.js';
import type { StreamParts } from './parts.js';

/**
 * Stream sockets of a thread on its loop, with promises: for a thread that has Node's event loop (see HostedLoop). One that blocks in its
 * loop has no promises: it makes a {@link PlainListener} or a {@link Connector} of the parts, whose callbacks are called in
 * `loop.turn()`, and {@link Timer}s. test/net/blocking-loop.test.ts shows all of it.
 *
 * @param secure the engine for those with TLS
 */
export function linuxStreams(parts: StreamParts, secure: Streams): Streams {
  return {
    listen: async (options) => (options.tls ? secure.listen(options) : new PlainListener(parts, options)),
    connect: (options) => (options.tls ? secure.connect(options) : connect(parts, options)),
    timer: (onDue) => new LoopTimer(parts.loop, onDue),
  };
}

function connect(parts: StreamParts, { signal, ...options }: ConnectOptions): Promise<Connection> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const aborted = () => connector.cancel(signal?.reason);
    const over = () => signal?.removeEventListener('abort', aborted);
    const connector = new Connector(parts, options, {
      onConnected: (connection) => {
        over();
        resolve(connection);
      },
      onError: (error) => {
        over();
        reject(error);
      },
    });
    signal?.addEventListener('abort', aborted);
  });
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
