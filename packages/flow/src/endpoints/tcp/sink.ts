import { setTimeout as wait } from 'node:timers/promises';
import { reason, throwInternal } from 'mproxy-base';
import { type Batch, Coalescer, type Frame, type Lease } from 'mproxy-framing';
import { type Address, Backoff, type Connection, connectTcp, peerOf, type TlsConnection } from 'mproxy-net';
import { connectionCounts, countConnection, sinkCounts } from '../../counts.js';
import { Drops } from '../../drops.js';
import { NoticeLimit } from '../../notices.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import { MOLD_FLAG_NAMES } from '../mold/flags.js';
import {
  DESTINATION_BROKEN,
  DESTINATION_CONNECTED,
  DESTINATION_FAILED,
  DESTINATION_RESET,
} from './events.js';
import { TCP_NAMES } from './flags.js';
import { ResendQueue } from './resend-queue.js';

/** Bytes queued at which a stream source waits. */
const WAIT_AT = 1024 * 1024;

/** Limit on ending a connection while the program stops, in milliseconds. */
const CLOSE_MS = 500;
/** Limit on bytes in a send buffer (tcp(7), tcp_wmem). */
const MAX_SEND_BUFFER = 4 * 1024 * 1024;

/** How a connection ended, and how many of the bytes that it took may be lost, at most. */
interface Ending {
  reason: string;
  unconfirmed: number;
}

export interface TcpSinkOptions {
  frame: Frame;
  /** Whether sources wait while the connection takes nothing; else datagrams beyond `clientBuffer` are dropped. */
  waits: boolean;
  /** Limit of the queue without `waits`, in bytes. */
  clientBuffer: number;
  /** How long the end waits for the connection to take everything, in milliseconds. */
  linger: number;
  tls: TlsConnection | undefined;
}

/**
 * A TCP or TLS destination: datagrams joined into a stream by the frame. Connects again whenever the connection ends; what it
 * had not taken is sent again, from the start of a datagram.
 */
export class TcpSink implements Sink {
  readonly counts = { ...sinkCounts(), ...connectionCounts() };
  readonly #coalescer: Coalescer;
  readonly #queue: ResendQueue;
  readonly #notices: NoticeLimit;
  readonly #closing = new AbortController();
  readonly #run: Promise<void>;
  disconnected: string | undefined = 'connecting';
  readonly #drops = new Drops(this);
  #aborted = false;
  /** Shortens the end of the connection. */
  #endSoon: () => void = () => undefined;

  constructor(
    private readonly program: Program,
    private readonly address: Address,
    private readonly options: TcpSinkOptions,
  ) {
    const limit = options.waits ? Number.POSITIVE_INFINITY : options.clientBuffer;
    this.#queue = new ResendQueue(limit, (datagrams, bytes) => {
      this.counts.datagrams += datagrams;
      this.counts.bytes += bytes;
    });
    this.#coalescer = new Coalescer(options.frame, (...chunk) => this.#enqueue(...chunk));
    this.#notices = new NoticeLimit(`sending: ${this.name}`, program);
    this.#run = this.#connections();
  }

  get dropReason(): string {
    if (this.#drops.reason !== undefined) return this.#drops.reason;
    return this.options.waits
      ? `the connection did not take them before the end (${MOLD_FLAG_NAMES.linger})`
      : 'the connection did not keep up';
  }

  get dropAdvice(): string | undefined {
    return this.options.waits ? undefined : `see ${TCP_NAMES.clientBuffer}`;
  }

  get name(): string {
    return this.address.text;
  }

  write(batch: Batch): void {
    this.#coalescer.add(batch);
  }

  flush(): void {
    this.#coalescer.flush();
  }

  room(): Promise<void> | undefined {
    return this.options.waits && !this.#aborted ? this.#queue.drained(WAIT_AT) : undefined;
  }

  stored(): Promise<void> | undefined {
    return this.#queue.passed();
  }

  abortPending(): void {
    this.#aborted = true;
    this.#queue.abort();
    this.#endSoon();
  }

  async close(): Promise<void> {
    this.flush();
    const timer = setTimeout(() => this.#queue.abort(), this.options.linger);
    await this.#queue.drained(0);
    clearTimeout(timer);
    this.#closing.abort();
    await this.#run;
    this.#drops.add(this.#queue.datagrams);
  }

  #enqueue(chunk: Buffer, datagrams: number, lease?: Lease): void {
    if (!this.#queue.offer(chunk, datagrams, lease)) this.#drops.add(datagrams);
  }

  async #connections(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff();
    while (!signal.aborted) {
      const { reason: why, unconfirmed } = await this.#connection(backoff);
      if (signal.aborted) return;
      this.disconnected = why;
      const retryMs = backoff.next();
      const destination = this.name;
      if (unconfirmed === 0) this.#notices.emit(DESTINATION_FAILED, { destination, reason: why, retryMs });
      else this.#notices.emit(DESTINATION_BROKEN, { destination, reason: why, unconfirmed, retryMs });
      await wait(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Runs one connection to its end. */
  async #connection(backoff: Backoff): Promise<Ending> {
    const { counts } = this;
    const { signal } = this.#closing;
    const { tls } = this.options;
    try {
      const { streams } = this.program;
      const secured = tls && { ...tls, untilAccepted: true };
      const connection = await connectTcp(streams, this.address, secured, signal);
      backoff.connected();
      this.disconnected = undefined;
      countConnection(counts);
      this.#notices.emit(DESTINATION_CONNECTED, { destination: this.name, peer: peerOf(connection) });
      const ending = await this.#send(connection);
      counts.connections.now--;
      return ending;
    } catch (error) {
      throwInternal(error);
      return { reason: reason(error), unconfirmed: 0 };
    }
  }

  /** Sends what is queued until the connection ends, or the sink is closed. */
  async #send(connection: Connection): Promise<Ending> {
    const { signal } = this.#closing;
    const before = this.counts.bytes;
    let unconfirmed: number | undefined;
    const closed = new Promise<Error | undefined>((onClose) =>
      connection.start({
        // What the peer sends is discarded; unread, it would turn the end into a reset (RFC 9293, section 3.6.1).
        onData: () => undefined,
        // The peer's FIN is the end of the connection: what it was given still goes out.
        onEnd: () => {
          if (!connection.writing) unconfirmed = connection.unacknowledged();
          this.#end(connection, CLOSE_MS);
        },
        onDrain: () => this.#queue.taken(),
        onClose,
      }),
    );
    const close = () => {
      if (this.#queue.datagrams > 0) connection.close();
      else this.#end(connection, this.#aborted ? CLOSE_MS : Math.max(this.options.linger, CLOSE_MS));
    };
    signal.addEventListener('abort', close, { once: true });
    this.#queue.attach(connection);
    if (signal.aborted) close();
    const failed = await closed;
    signal.removeEventListener('abort', close);
    this.#queue.detach();
    this.#endSoon = () => undefined;
    if (signal.aborted && failed) this.#endFailed(failed);
    const taken = Math.min(this.counts.bytes - before, MAX_SEND_BUFFER);
    const lost = failed ? taken : Math.min(unconfirmed ?? taken, taken);
    return { reason: reason(failed ?? 'ended by its peer'), unconfirmed: lost };
  }

  /** Ends a connection that took everything: waits for the FIN of its peer, but not for long. */
  #end(connection: Connection, limit: number): void {
    this.#queue.hold();
    connection.linger(limit);
    this.#endSoon = () => connection.linger(CLOSE_MS);
  }

  /** A reset after the end of the data: the peer discarded what it had not read. */
  #endFailed(error: Error): void {
    this.#notices.emit(DESTINATION_RESET, { destination: this.name, reason: reason(error) });
    if (this.options.waits && !this.#aborted) this.program.fail('MPROXY_SEND', 'sending', this.name, error);
  }
}
