import type { BlockList } from 'node:net';
import { reason, showDuration } from 'mproxy-base';
import type { Batch, Frame } from 'mproxy-framing';
import type { Address, Answer, Connection, TlsIdentities } from 'mproxy-net';
import { sinkCounts } from '../../counts.js';
import { NoticeLimit } from '../../notices.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import { Coalescer, type Lease } from '../../stream/coalescer.js';
import { OutputQueue } from '../../stream/output-queue.js';
import { Progress } from '../../stream/progress.js';
import { CLIENT_CONNECTED, CLIENT_FAILED, CLIENT_LEFT } from './events.js';
import { TCP_NAMES } from './flags.js';
import { Listener } from './listener.js';

/** Limit on the wait at close for clients to take their queued data, in milliseconds. */
const CLOSE_MS = 1000;
/** With more clients, a write to each costs more than a short delay: bursts are gathered for GATHER_MS. */
const MANY_CLIENTS = 16;
const GATHER_MS = 2;

export interface ClientsOptions {
  frame: Frame;
  /** Limit on bytes queued for one client. */
  clientBuffer: number;
  /** Milliseconds without progress after which a client is disconnected; 0: never. */
  clientTimeout: number;
  maxClients: number;
  allow: BlockList | undefined;
  identities: TlsIdentities | undefined;
}

/**
 * A TCP or TLS listener that sends every datagram to every connected client. All clients share one copy of a
 * burst. A chunk that does not fit a client's queue is dropped for that client alone, always by whole
 * datagrams.
 */
export class ClientsSink implements Sink {
  readonly counts = { ...sinkCounts(), clients: { now: 0, ever: 0 } };
  readonly dropReason = 'clients did not keep up';
  readonly dropAdvice = `see ${TCP_NAMES.clientBuffer}`;
  readonly #clients = new Map<Connection, OutputQueue>();
  readonly #coalescer: Coalescer;
  readonly #listener: Listener;
  readonly #notices: NoticeLimit;
  /** A client left. */
  readonly #left = new Progress();
  #idleTimer: NodeJS.Timeout | undefined;
  #gatherTimer: NodeJS.Timeout | undefined;

  constructor(
    program: Program,
    private readonly address: Address,
    private readonly options: ClientsOptions,
  ) {
    this.#coalescer = new Coalescer(options.frame, (...chunk) => this.#pass(...chunk));
    this.#notices = new NoticeLimit(`clients: ${this.name}`, program);
    this.#listener = new Listener(program, address, {
      allow: options.allow,
      identities: options.identities,
      most: options.maxClients,
      mostFlag: TCP_NAMES.maxClients,
      notices: this.#notices,
      refused: () => {
        this.counts.refused++;
      },
      accepted: (connection, peer) => this.#add(connection, peer),
    });
    if (options.identities) program.onReload(() => this.#listener.reload());
    if (options.clientTimeout === 0) return;
    this.#idleTimer = setInterval(() => this.#disconnectIdle(), Math.min(options.clientTimeout / 4, 1000));
    this.#idleTimer.unref();
  }

  get name(): string {
    return this.address.text;
  }

  open(answers: Answer[]): Promise<void> {
    return this.#listener.open(answers);
  }

  write(batch: Batch): void {
    if (this.#clients.size > 0) this.#coalescer.add(batch);
  }

  flush(): void {
    if (this.#clients.size <= MANY_CLIENTS) this.#coalescer.flush();
    else this.#gatherTimer ??= setTimeout(() => this.#flushGathered(), GATHER_MS);
  }

  #flushGathered(): void {
    this.#gatherTimer = undefined;
    this.#coalescer.flush();
  }

  #pass(chunk: Buffer, datagrams: number, lease?: Lease): void {
    clearTimeout(this.#gatherTimer);
    this.#gatherTimer = undefined;
    for (const client of this.#clients.values()) {
      if (client.offer(chunk, lease)) {
        this.counts.datagrams += datagrams;
        this.counts.bytes += chunk.length;
      } else this.counts.dropped += datagrams;
    }
  }

  room(): undefined {
    return undefined;
  }

  abortPending(): void {}

  async close(): Promise<void> {
    clearTimeout(this.#gatherTimer);
    this.#coalescer.flush();
    clearInterval(this.#idleTimer);
    this.#listener.close();
    const timeout = new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref());
    const drained = [...this.#clients.values()].map((client) => client.drained(0));
    await Promise.race([Promise.all(drained), timeout]);
    for (const [connection, { queued }] of this.#clients) {
      if (queued > 0) continue;
      connection.end();
      connection.close();
    }
    await Promise.race([this.#left.until(() => this.#clients.size === 0), timeout]);
    this.#listener.closeConnections();
  }

  #add(connection: Connection, peer: string): void {
    this.#coalescer.flush();
    const event = { listener: this.name, peer };
    const client = new OutputQueue(connection, this.options.clientBuffer);
    this.#clients.set(connection, client);
    this.counts.clients.now++;
    this.counts.clients.ever++;
    this.#notices.emit(CLIENT_CONNECTED, event);
    connection.start({
      onData: () => undefined,
      onEnd: () => undefined,
      onDrain: () => client.taken(),
      onClose: (error) => {
        if (error) this.#notices.emit(CLIENT_FAILED, { ...event, reason: reason(error) });
        client.abandon();
        this.#clients.delete(connection);
        this.counts.clients.now--;
        this.#notices.emit(CLIENT_LEFT, event);
        this.#left.advance();
      },
    });
  }

  #disconnectIdle(): void {
    const { clientTimeout } = this.options;
    const now = performance.now();
    for (const [connection, client] of this.#clients) {
      const { queued, progressAt } = client;
      if (queued === 0 || now - progressAt < clientTimeout) continue;
      this.counts.timedOut++;
      client.abandon();
      connection.close(new Error(`took nothing for ${showDuration(clientTimeout)}: disconnected`));
    }
  }
}
