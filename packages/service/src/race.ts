import { isIPv4 } from 'node:net';
import type { Connection, PeerAddress, Streams, StreamTimer, TlsClient } from 'mproxy-net';
import { timedOut } from 'mproxy-net/socket-errors';

/** How long an attempt is alone before the next one begins (RFC 8305, section 5), in milliseconds. */
const ATTEMPT_DELAY_MS = 250;

/** A connection, and the address that was connected to. */
export interface Connected {
  connection: Connection;
  address: PeerAddress;
}

export interface RaceOptions {
  /** Limit on connecting, of all attempts together, in milliseconds. */
  timeout: number;
  signal?: AbortSignal;
  /** Secures the connection; the handshake is a part of connecting. */
  tls?: TlsClient | undefined;
}

/**
 * Connects to one of several addresses of one peer, which are alternatives (RFC 8305): one after the other, each as soon as the one before
 * failed or took 250 ms. The first that is connected is used.
 *
 * @param addresses at least one, in order of preference; see {@link interleave}
 * @throws the error of the last attempt; ETIMEDOUT; the signal's reason
 */
export function connectToAny(
  streams: Streams,
  addresses: readonly PeerAddress[],
  { timeout, signal, tls }: RaceOptions,
): Promise<Connected> {
  return new Promise((resolve, reject) => {
    new Race({ streams, addresses, tls }, performance.now() + timeout, { resolve, reject }).begin(signal);
  });
}

/** The addresses of a name with families that alternate, the first one's first (RFC 8305, section 4). */
export function interleave(ips: readonly string[]): string[] {
  const first = ips.length > 0 && isIPv4(ips[0]!);
  const same = ips.filter((ip) => isIPv4(ip) === first);
  const other = ips.filter((ip) => isIPv4(ip) !== first);
  const both: string[] = [];
  for (let i = 0; i < ips.length; i++) both.push(...same.slice(i, i + 1), ...other.slice(i, i + 1));
  return both;
}

interface RaceParts {
  streams: Streams;
  addresses: readonly PeerAddress[];
  tls: TlsClient | undefined;
}

interface Ends {
  resolve(connected: Connected): void;
  reject(error: unknown): void;
}

class Race {
  #next = 0;
  #running = 0;
  #over = false;
  readonly #attempts = new AbortController();
  readonly #timer: StreamTimer;

  constructor(
    private readonly parts: RaceParts,
    private readonly until: number,
    private readonly ends: Ends,
  ) {
    this.#timer = parts.streams.timer(() => this.#attempt());
  }

  begin(signal: AbortSignal | undefined): void {
    if (signal?.aborted) this.#end(() => this.ends.reject(signal.reason));
    signal?.addEventListener('abort', () => this.#end(() => this.ends.reject(signal.reason)), {
      once: true,
      signal: this.#attempts.signal,
    });
    this.#attempt();
  }

  #attempt(): void {
    const { streams, addresses, tls } = this.parts;
    const to = addresses[this.#next];
    if (this.#over || !to) return;
    this.#next++;
    this.#running++;
    this.#timer.set(ATTEMPT_DELAY_MS);
    const timeout = Math.max(1, this.until - performance.now());
    streams.connect({ to, timeout, signal: this.#attempts.signal, ...(tls && { tls }) }).then(
      (connection) => {
        if (this.#over) connection.close();
        else this.#end(() => this.ends.resolve({ connection, address: to }));
      },
      (error) => this.#failed(error),
    );
  }

  #failed(error: unknown): void {
    this.#running--;
    if (this.#over) return;
    const isLast = this.#next === this.parts.addresses.length && this.#running === 0;
    if (performance.now() >= this.until) this.#end(() => this.ends.reject(timedOut('timed out')));
    else if (isLast) this.#end(() => this.ends.reject(error));
    else this.#attempt();
  }

  #end(report: () => void): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer.clear();
    this.#attempts.abort();
    report();
  }
}
