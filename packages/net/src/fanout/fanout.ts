import { reason, showDuration } from 'mproxy-base';
import type { Batch, Frame, Lease } from 'mproxy-framing';
import { Coalescer } from 'mproxy-framing/coalescer';
import type { Connection, Streams, StreamTimer } from '../streams.js';
import type { ClientCounts } from './client-counts.js';
import { OutputQueue } from './output-queue.js';

/** Limit on the wait at close for clients to take their queued data and to close in return, in milliseconds. */
const CLOSE_MS = 1000;
/** The same for those that never sent anything. */
const SILENT_MS = 300;
/** With more clients, a write to each costs more than a short delay: bursts are gathered for GATHER_MS. */
const MANY_CLIENTS = 16;
const GATHER_MS = 2;

/** Plain data, which is passed to threads. */
export interface FanoutSettings {
  frame: Frame;
  /** Limit on the memory of a client's queue, in bytes. */
  buffer: number;
  /** Milliseconds without progress after which a client is disconnected; 0: never. */
  timeout: number;
}

/** Clients are known by a number that their listener gave them. */
export interface FanoutEvents {
  /** It gets all datagrams from now on. */
  joined(client: number): void;
  /** @param reason why its connection failed, or was closed */
  left(client: number, reason?: string): void;
}

/** Sends a batch from where it lies, in threads that can. */
export interface Prepared {
  bytes: number;
  datagrams: number;
  /** @returns whether it can be sent */
  prepare(batch: Batch, frame: Frame): boolean;
}

/** How a client is sent to without a queue, by connections that can; both return the number of bytes taken. */
export interface Direct {
  /** Sends what is prepared, or a part of it. */
  sendPrepared(): number;
  /** See {@link Connection.offer}. */
  offer(chunk: Buffer): number;
}

const QUEUED: Direct = { sendPrepared: () => 0, offer: () => 0 };

interface Client {
  connection: Connection;
  queue: OutputQueue;
  direct: Direct;
  /** Bytes of the current batch that were sent from where it lies; 0 between two. */
  ahead: number;
}

/**
 * Sends every datagram to every client, in any thread that has stream sockets. Clients that have taken all before it are sent a batch from
 * where it lies, if that is possible. For the others it is copied, once for all of them. A chunk that does not fit a client's queue is
 * dropped for that client alone, always by whole datagrams.
 */
export class Fanout {
  readonly #clients = new Map<number, Client>();
  readonly #coalescer: Coalescer;
  readonly #idleTimer: StreamTimer;
  readonly #gatherTimer: StreamTimer;
  readonly #closeTimer: StreamTimer;
  #gathering = false;
  /** Bytes of the current batch in the chunks before the next one. */
  #at = 0;
  #onClosed: (() => void) | undefined;
  /** When the wait at close ends; by `performance.now()`. */
  #closeAt = Number.POSITIVE_INFINITY;

  constructor(
    private readonly settings: FanoutSettings,
    private readonly counts: ClientCounts,
    private readonly events: FanoutEvents,
    timer: Streams['timer'],
    private readonly prepared?: Prepared,
  ) {
    this.#coalescer = new Coalescer(settings.frame, (...chunk) => this.#pass(...chunk));
    this.#idleTimer = timer(() => this.#disconnectIdle());
    this.#gatherTimer = timer(() => this.#flushGathered());
    this.#closeTimer = timer(() => this.#disconnectBehind());
    this.#watchIdle();
  }

  add(client: number, connection: Connection, direct = QUEUED): void {
    this.#coalescer.flush();
    const queue = new OutputQueue(connection, this.settings.buffer);
    const entry = { connection, queue, direct, ahead: 0 };
    this.#clients.set(client, entry);
    this.counts.joined();
    this.events.joined(client);
    connection.start({
      onData: () => undefined,
      onEnd: () => undefined,
      onDrain: () => {
        queue.taken();
        if (this.#onClosed) this.#endTaken(entry);
      },
      onClose: (error) => {
        queue.abandon();
        this.#clients.delete(client);
        this.counts.left();
        this.events.left(client, error && reason(error));
        if (this.#clients.size === 0) this.#closed();
      },
    });
    // Its TLS handshake was finished after the stop.
    if (this.#onClosed) this.#endTaken(entry);
  }

  write(batch: Batch): void {
    if (this.#clients.size > 0 && !this.#sendPrepared(batch)) this.#coalescer.add(batch);
  }

  /** The end of a burst. */
  flush(): void {
    if (this.#clients.size <= MANY_CLIENTS) this.#coalescer.flush();
    else if (!this.#gathering) {
      this.#gathering = true;
      this.#gatherTimer.set(GATHER_MS);
    }
  }

  /**
   * Ends each connection when what is queued for it was taken, and closes it when its peer has ended, too; at the latest after
   * {@link CLOSE_MS}. What is queued then is counted as dropped. Called once.
   * @param onClosed called when all are closed
   */
  close(onClosed: () => void): void {
    this.#coalescer.flush();
    this.#idleTimer.clear();
    this.#onClosed = onClosed;
    this.#closeAt = performance.now() + CLOSE_MS;
    this.#closeTimer.set(CLOSE_MS);
    for (const client of this.#clients.values()) this.#endTaken(client);
    if (this.#clients.size === 0) this.#closed();
  }

  /** Closes all connections at once. */
  abort(error: Error): void {
    for (const { connection } of this.#clients.values()) connection.close(error);
  }

  #flushGathered(): void {
    this.#gathering = false;
    this.#coalescer.flush();
  }

  #pass(chunk: Buffer, datagrams: number, lease: Lease): void {
    if (this.#gathering) this.#gatherTimer.clear();
    this.#gathering = false;
    let taken = 0;
    for (const { queue, direct, ahead } of this.#clients.values()) {
      let sent = Math.max(0, ahead - this.#at);
      if (sent === 0 && queue.queued === 0) sent = direct.offer(chunk);
      if (sent >= chunk.length || queue.offer(sent > 0 ? chunk.subarray(sent) : chunk, lease, datagrams))
        taken++;
    }
    this.#at += chunk.length;
    this.counts.passed(datagrams, chunk.length, taken, this.#clients.size - taken);
  }

  /** @returns whether that was all there is to do */
  #sendPrepared(batch: Batch): boolean {
    const { prepared } = this;
    if (!prepared || this.#clients.size > MANY_CLIENTS || this.#coalescer.pending) return false;
    if (!prepared.prepare(batch, this.settings.frame)) return false;
    const { bytes, datagrams } = prepared;
    let behind = false;
    for (const client of this.#clients.values()) {
      client.ahead = client.queue.queued > 0 ? 0 : client.direct.sendPrepared();
      if (client.ahead < bytes) behind = true;
    }
    if (behind) this.#queueRest(batch);
    else this.counts.passed(datagrams, bytes, this.#clients.size, 0);
    for (const client of this.#clients.values()) client.ahead = 0;
    return true;
  }

  /** Queues what was not sent of a batch. */
  #queueRest(batch: Batch): void {
    this.#at = 0;
    this.#coalescer.add(batch);
    this.#coalescer.flush();
  }

  #watchIdle(): void {
    const { timeout } = this.settings;
    if (timeout > 0) this.#idleTimer.set(Math.min(timeout / 4, 1000));
  }

  #disconnectIdle(): void {
    const { timeout } = this.settings;
    const now = performance.now();
    for (const { connection, queue } of this.#clients.values()) {
      if (queue.queued === 0 || now - queue.progressAt < timeout) continue;
      this.counts.timedOut();
      queue.abandon();
      connection.close(new Error(`took nothing for ${showDuration(timeout)}: disconnected`));
    }
    this.#watchIdle();
  }

  /**
   * Ends a connection that has taken everything. Closed while its peer has not acknowledged all of it, it would be reset by what that
   * one still sends (see linger), and one that has sent something probably goes on.
   */
  #endTaken({ connection, queue }: Client): void {
    if (isBehind(connection, queue)) return;
    if (connection.unacknowledged() === 0) {
      connection.end();
      connection.close();
    } else {
      const left = Math.max(0, this.#closeAt - performance.now());
      connection.linger(connection.received > 0 ? left : Math.min(left, SILENT_MS));
    }
  }

  /** Closes the connections that have not taken everything; the others have the same limit. */
  #disconnectBehind(): void {
    for (const { connection, queue } of this.#clients.values()) {
      if (!isBehind(connection, queue)) continue;
      this.counts.dropped(queue.datagrams);
      connection.close(
        new Error(`had not taken everything ${showDuration(CLOSE_MS)} after the stop: disconnected`),
      );
    }
  }

  #closed(): void {
    const onClosed = this.#onClosed;
    if (!onClosed) return;
    this.#onClosed = undefined;
    this.#closeTimer.clear();
    onClosed();
  }
}

/** A connection of TLS may have taken the beginning of what is queued, and not sent it. */
function isBehind(connection: Connection, queue: OutputQueue): boolean {
  return queue.queued > 0 || connection.writing;
}
