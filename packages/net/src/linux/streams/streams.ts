import { CONNECT_MS } from '../../stream-defaults.js';
import type { Connection, ConnectOptions, Streams, StreamTimer, TlsClient } from '../../streams.js';
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
 * @param other the engine for those with TLS, where the loop has none
 */
export function linuxStreams(parts: StreamParts, other: Streams): Streams {
  const isOthers = ({ tls }: { tls?: unknown }) => tls !== undefined && !parts.tls;
  return {
    listen: async (options) => (isOthers(options) ? other.listen(options) : new Listener(parts, options)),
    connect: async (options) => {
      if (isOthers(options)) return other.connect(options);
      return options.tls ? connectSecurely(parts, options, options.tls) : connect(parts, options);
    },
    share: (options) => new LinuxSharedSocket(parts.libc, options),
    timer: (onDue) => new LoopTimer(parts.loop, onDue),
  };
}

async function connectSecurely(
  parts: StreamParts,
  { timeout = CONNECT_MS, ...options }: ConnectOptions,
  tls: TlsClient,
): Promise<Connection> {
  // Invalid credentials are found before anything is opened.
  parts.tls!.client(tls.credentials);
  const until = performance.now() + timeout;
  const plain = await connect(parts, { ...options, timeout });
  const left = Math.max(1, until - performance.now());
  return plain.secure(tls, { timeout: left, ...(options.signal && { signal: options.signal }) });
}

function connect(parts: StreamParts, { signal, ...options }: ConnectOptions): Promise<Connection> {
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
