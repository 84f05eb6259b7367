import { once } from 'node:events';
import { showMemory } from 'mproxy-base';
import type { Batch, Frame } from 'mproxy-framing';
import { addError, connectionCounts, sinkCounts } from '../../counts.js';
import { Drops } from '../../drops.js';
import type { Program } from '../../program.js';
import type { PacketSink } from '../../transport.js';
import { MOLD_FLAG_NAMES } from '../mold/flags.js';
import { TCP_NAMES } from '../tcp/flags.js';
import { Client, type ClientOptions } from './client.js';
import type { ClientHandler } from './client-handler.js';
import { PublishEncoder } from './encoder.js';
import { endSending, NOT_SENT } from './end-sending.js';
import { MESSAGES_UNCONFIRMED } from './events.js';
import { Outbox } from './outbox.js';
import { eachPiece } from './pieces.js';
import { Run } from './run.js';
import type { ServerConnection } from './server-connection.js';

/** Bytes queued at which a stream source waits. */
const WAIT_AT = 256 * 1024;
/** How often a server is asked to confirm what it took, in milliseconds. */
const CONFIRM_MS = 1000;

export interface NatsSinkOptions extends Omit<ClientOptions, 'action'> {
  subject: string;
  /** The frame of the stream that the datagrams are cut from; undefined: they are datagrams, which are never cut. */
  frame: Frame | undefined;
  /** Whether sources wait while the server takes nothing; else datagrams beyond `clientBuffer` are dropped. */
  waits: boolean;
  /** Limit of the queue without `waits`, in bytes. */
  clientBuffer: number;
  /** How long the end waits for the server to confirm everything, in milliseconds. */
  linger: number;
}

/** A subject that datagrams are published to, each as a message. */
export class NatsSink implements PacketSink, ClientHandler {
  readonly counts = { ...sinkCounts(), ...connectionCounts(), unconfirmed: 0 };
  readonly #client: Client;
  readonly #outbox: Outbox;
  /** Datagrams that are offered to the outbox at once. */
  readonly #batched = new Run();
  readonly #run: Promise<void>;
  readonly #aborting = new AbortController();
  /** The connection, or the last one. */
  #server: ServerConnection | undefined;
  /** Messages that servers confirmed, of those that connections took. */
  #confirmed = 0;
  #confirming: Promise<void> | undefined;
  readonly #drops = new Drops(this);
  #isRefused = false;
  #timer: NodeJS.Timeout;

  constructor(
    private readonly program: Program,
    private readonly options: NatsSinkOptions,
  ) {
    const limit = options.waits ? Number.POSITIVE_INFINITY : options.clientBuffer;
    this.#outbox = new Outbox(new PublishEncoder(options.subject), limit, (messages, bytes) => {
      this.counts.datagrams += messages;
      this.counts.bytes += bytes;
    });
    this.#client = new Client(program, { ...options, action: 'sending' }, this);
    this.#timer = setInterval(() => void this.#confirm(), CONFIRM_MS).unref();
    this.#run = this.#client.run().catch((error) => this.#failed(error));
  }

  get name(): string {
    return this.options.name;
  }

  get disconnected(): string | undefined {
    return this.#client.disconnected;
  }

  get dropReason(): string {
    if (this.#isRefused) return NOT_SENT;
    if (this.#drops.reason !== undefined) return this.#drops.reason;
    return this.options.waits
      ? 'the server did not accept them before the end'
      : 'the server did not keep up';
  }

  get dropAdvice(): string | undefined {
    if (this.#isRefused) return undefined;
    if (this.options.waits) return `see ${MOLD_FLAG_NAMES.linger}`;
    return this.#drops.reason === undefined ? `see ${TCP_NAMES.clientBuffer}` : undefined;
  }

  errorAdvice(code: string): string | undefined {
    if (code === 'EACCES') return 'the login may not publish to the subject';
    return code === 'EMSGSIZE'
      ? `the server takes up to ${showMemory(this.#largest)} (max_payload)`
      : undefined;
  }

  write(batch: Batch): void {
    if (!this.options.waits && !this.#client.connection) {
      this.#drops.add(batch.datagrams);
      return;
    }
    const largest = this.#largest;
    const { slab } = batch;
    batch.each((offset, length) => {
      if (length <= largest) this.#publish(slab, offset, length);
      else this.#publishPieces(slab, offset, length, largest);
    });
    this.#offer();
  }

  flush(): void {
    this.#outbox.flush();
  }

  room(): Promise<void> | undefined {
    return this.options.waits ? this.#outbox.room(WAIT_AT) : undefined;
  }

  abortPending(): void {
    this.#outbox.abort();
    this.#aborting.abort();
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.abortPending(), this.options.linger);
    this.flush();
    await this.#outbox.room(0);
    const { signal } = this.#aborting;
    if (!signal.aborted && this.#client.connection)
      await Promise.race([this.#confirmAll(), once(signal, 'abort')]);
    clearTimeout(timer);
    clearInterval(this.#timer);
    this.#reportUnconfirmed(0);
    this.#client.close();
    await this.#run;
    this.#drops.add(this.#outbox.discard());
  }

  onAttached(connection: ServerConnection): void {
    this.#server = connection;
    const tooLong = this.#outbox.discardLonger(this.#largest);
    if (tooLong > 0) addError(this.counts, 'EMSGSIZE', tooLong);
    this.#outbox.attach(connection.connection);
  }

  onLeaving(): void {
    this.#outbox.hold();
  }

  onDetached(confirmed: boolean): void {
    if (confirmed) this.#confirmed = this.#outbox.taken;
    const given = this.#outbox.detach();
    this.#reportUnconfirmed(this.options.waits ? given : 0);
    if (!this.options.waits) this.#drops.add(this.#outbox.discard());
  }

  onDenied(): string {
    addError(this.counts, 'EACCES');
    return 'data are lost';
  }

  onDrain(): void {
    this.#outbox.drained();
  }

  onBurstEnd(): void {}

  /** The largest message that the server takes, or the last one took, in bytes. */
  get #largest(): number {
    return this.#server?.info.maxPayload ?? Number.POSITIVE_INFINITY;
  }

  #publish(slab: Buffer, offset: number, length: number): void {
    if (this.#batched.add(slab, offset, length)) return;
    this.#offer();
    this.#batched.add(slab, offset, length);
  }

  /** Publishes a datagram that is too long for the server, cut where a stream may be cut. */
  #publishPieces(slab: Buffer, offset: number, length: number, largest: number): void {
    const { frame } = this.options;
    const publish = (at: number, size: number) => this.#publish(slab, at, size);
    if (!eachPiece(slab, offset, offset + length, { frame, largest }, publish))
      addError(this.counts, 'EMSGSIZE');
  }

  #offer(): void {
    const run = this.#batched;
    if (run.count > 0 && !this.#outbox.offer(run)) this.#drops.add(run.count);
    run.clear();
  }

  /** A server handles what it gets in order: its answer to a PING confirms all messages before it. */
  #confirm(): Promise<void> {
    this.#confirming ??= this.#askToConfirm().finally(() => {
      this.#confirming = undefined;
    });
    return this.#confirming;
  }

  async #askToConfirm(): Promise<void> {
    const { connection } = this.#client;
    const { taken } = this.#outbox;
    if (!connection || taken === this.#confirmed) return;
    if (await connection.ping()) this.#confirmed = Math.max(taken, this.#confirmed);
  }

  /** Until everything is confirmed, or the connection ends. */
  async #confirmAll(): Promise<void> {
    while (this.#client.connection && this.#confirmed < this.#outbox.taken) await this.#confirm();
  }

  #reportUnconfirmed(given: number): void {
    const unconfirmed = this.#outbox.taken - this.#confirmed;
    this.#confirmed = this.#outbox.taken;
    if (unconfirmed === 0 && given === 0) return;
    this.counts.unconfirmed += unconfirmed;
    const again = given > 0 ? given : undefined;
    this.#client.notices.emit(MESSAGES_UNCONFIRMED, { address: this.name, unconfirmed, again });
  }

  /** The server refused the login at the start: there is no server to send to. */
  #failed(error: unknown): void {
    this.#isRefused = true;
    this.abortPending();
    endSending(this.program, this.name, error);
  }
}
