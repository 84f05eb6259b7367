import { setTimeout as wait } from 'node:timers/promises';
import { failure, reason, showDuration, throwInternal } from 'mproxy-base';
import type { Frame } from 'mproxy-framing';
import {
  type Address,
  Backoff,
  type Connection,
  connectTcp,
  type Deliver,
  peerOf,
  type TlsConnection,
  untilQuiet,
} from 'mproxy-net';
import { connectionCounts, countConnection, sourceCounts } from '../../counts.js';
import { NoticeLimit } from '../../notices.js';
import type { Program } from '../../program.js';
import type { Source } from '../../source.js';
import { FramedStream } from '../../stream/framed-stream.js';
import { readConnection } from '../../stream/read-connection.js';
import { UPSTREAM_CONNECTED, UPSTREAM_ENDED, UPSTREAM_FAILED } from './events.js';

export interface TcpConnectOptions {
  frame: Frame;
  payload: number;
  flushAfter: number | undefined;
  /** Milliseconds without data after which a connection fails; 0: never. */
  idleTimeout: number;
  /** Sent after every connect. */
  greeting: Buffer;
  /** Connect once; the source then ends at EOF, and fails otherwise. */
  once: boolean;
  tls: TlsConnection | undefined;
}

/** A TCP or TLS upstream that is read as a stream, and reconnected whenever the connection ends. */
export class TcpConnectSource implements Source {
  readonly counts = { ...sourceCounts(), ...connectionCounts() };
  readonly #stopping = new AbortController();
  readonly #notices: NoticeLimit;
  #connected: Connection | undefined;
  disconnected: string | undefined = 'connecting';

  constructor(
    private readonly program: Program,
    private readonly address: Address,
    private readonly options: TcpConnectOptions,
  ) {
    this.#notices = new NoticeLimit(`upstream: ${this.name}`, program);
  }

  get name(): string {
    return this.address.text;
  }

  async run(deliver: Deliver): Promise<void> {
    const backoff = new Backoff();
    while (!this.#stopping.signal.aborted) {
      const ended = await this.#connection(deliver, backoff);
      if (this.#stopping.signal.aborted) return;
      if (this.options.once) return this.#endOnce(ended);
      const why = reason(ended ?? 'ended');
      this.disconnected = why;
      const retryMs = backoff.next();
      this.#notices.emit(UPSTREAM_FAILED, { upstream: this.name, reason: why, retryMs });
      await wait(retryMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  /** Reads what the kernel already holds before the connection is closed. */
  stop(): void {
    this.#stopping.abort();
    const connection = this.#connected;
    if (connection) void untilQuiet(() => connection.received).then(() => connection.close());
  }

  /** Runs one connection. @returns why it failed; undefined when the upstream ended it */
  async #connection(deliver: Deliver, backoff: Backoff): Promise<Error | undefined> {
    const { counts, options } = this;
    const { idleTimeout, greeting, tls } = options;
    const stream = new FramedStream({ ...options, counts, lent: 'borrowed', deliver });
    try {
      const { streams } = this.program;
      const connection = await connectTcp(streams, this.address, tls, this.#stopping.signal);
      this.#connected = connection;
      backoff.connected();
      this.disconnected = undefined;
      countConnection(counts);
      this.#notices.emit(UPSTREAM_CONNECTED, { upstream: this.name, peer: peerOf(connection) });
      if (greeting.length > 0) connection.write([greeting]);
      connection.limitIdle(idleTimeout);
      const why = await readConnection(connection, stream, () =>
        connection.close(new Error(`silent for ${showDuration(idleTimeout)}`)),
      );
      if (stream.taken > 0) backoff.delivered();
      connection.close();
      counts.connections.now--;
      if (await stream.breakOff()) counts.brokenLines++;
      return why;
    } catch (error) {
      throwInternal(error);
      return error as Error;
    }
  }

  #endOnce(failed: Error | undefined): void {
    if (failed) throw failure('MPROXY_UPSTREAM', 'upstream', this.name, failed);
    this.program.emit(UPSTREAM_ENDED, { upstream: this.name });
  }
}
