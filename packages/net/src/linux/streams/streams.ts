import type { Connection, ConnectOptions, Streams, StreamTimer } from '../../streams.js';
import type { Loop } from '../loop.js';
import { Timer } from '../timer-wheel.js';
import { Connector } from './connector.js';
import { PlainListener } from './listener.js';
import type { StreamParts } from './parts.js';

/**
 * Stream sockets of a thread on its loop (see {@link Loop}), which may be one within Node's event loop, or one that blocks. In a thread
 * without Node's event loop promises do not go on: there PlainListener and Connector are used without them.
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

class LoopTimer implements StreamTimer {
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
