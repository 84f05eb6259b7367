import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { reason, throwInternal } from 'mproxy-base';
import type { Batch, Frame } from 'mproxy-framing';
import { type Address, Backoff, connectTcp, peerOf, type TlsConnection } from 'mproxy-net';
import { sinkCounts } from '../../counts.js';
import { NoticeLimit } from '../../notices.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import { Coalescer, type Lease } from '../../stream/coalescer.js';
import { MOLD_FLAG_NAMES } from '../mold/flags.js';
import { DESTINATION_CONNECTED, DESTINATION_FAILED } from './events.js';
import { TCP_NAMES } from './flags.js';
import { ResendQueue } from './resend-queue.js';

/** Bytes queued at which a stream source waits. */
const WAIT_AT = 1024 * 1024;

/** Limit on ending a connection that took everything, in milliseconds. */
const CLOSE_MS = 500;

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
  readonly counts = { ...sinkCounts(), connections: { now: 0, ever: 0 }, reconnects: 0 };
  readonly #coalescer: Coalescer;
  readonly #queue: ResendQueue;
  readonly #notices: NoticeLimit;
  readonly #closing = new AbortController();
  readonly #run: Promise<void>;
  #aborted = false;

  constructor(
    program: Program,
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
    return this.options.waits
      ? `the connection did not take them before the end (${MOLD_FLAG_NAMES.linger})`
      : `the connection did not keep up; see ${TCP_NAMES.clientBuffer}`;
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

  abortPending(): void {
    this.#aborted = true;
    this.#queue.abort();
  }

  async close(): Promise<void> {
    this.flush();
    const timer = setTimeout(() => this.#queue.abort(), this.options.linger);
    await this.#queue.drained(0);
    clearTimeout(timer);
    this.#closing.abort();
    await this.#run;
    this.counts.dropped += this.#queue.datagrams;
  }

  #enqueue(chunk: Buffer, datagrams: number, lease?: Lease): void {
    if (!this.#queue.offer(chunk, datagrams, lease)) this.counts.dropped += datagrams;
  }

  async #connections(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff();
    while (!signal.aborted) {
      const why = await this.#connection(backoff);
      if (signal.aborted) return;
      const retryMs = backoff.next();
      this.#notices.emit(DESTINATION_FAILED, { destination: this.name, reason: why, retryMs });
      await wait(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Runs one connection to its end. @returns why it ended */
  async #connection(backoff: Backoff): Promise<string> {
    const { counts } = this;
    try {
      const socket = await connectTcp(this.address, this.options.tls, this.#closing.signal);
      backoff.connected();
      if (counts.connections.ever++ > 0) counts.reconnects++;
      counts.connections.now++;
      this.#notices.emit(DESTINATION_CONNECTED, { destination: this.name, peer: peerOf(socket) });
      const before = counts.bytes;
      const error = await this.#send(socket);
      counts.connections.now--;
      if (counts.bytes === before) return reason(error ?? 'ended by its peer');
      backoff.delivered();
      return `${reason(error ?? 'ended by its peer')}; data that it took last may be lost`;
    } catch (error) {
      throwInternal(error);
      return reason(error);
    }
  }

  /** Sends what is queued until the connection ends, or the sink is closed. @returns the connection's error */
  async #send(socket: Socket): Promise<Error | undefined> {
    const { signal } = this.#closing;
    let failed: Error | undefined;
    socket.on('error', (error) => {
      failed = error;
    });
    const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    // What the peer sends is discarded; its FIN is taken for the end of the connection.
    socket.on('end', () => socket.destroy()).resume();
    const close = () => {
      if (this.#queue.datagrams > 0) socket.destroy();
      else socket.end(() => socket.destroy()).setTimeout(CLOSE_MS, () => socket.destroy());
    };
    signal.addEventListener('abort', close, { once: true });
    if (signal.aborted) close();
    this.#queue.attach(socket);
    await ended;
    signal.removeEventListener('abort', close);
    this.#queue.detach();
    return failed;
  }
}
