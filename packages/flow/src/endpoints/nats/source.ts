import { failure } from 'mproxy-base';
import { Batch } from 'mproxy-framing';
import { MAX_DATAGRAM } from 'mproxy-framing/cutter';
import { isPacket } from 'mproxy-mold/packet';
import type { Deliver } from 'mproxy-net';
import { connectionCounts, sourceCounts } from '../../counts.js';
import type { Program } from '../../program.js';
import type { PacketSource } from '../../transport.js';
import { Client, type ClientOptions } from './client.js';
import type { ClientHandler } from './client-handler.js';
import { SUBSCRIPTION_INTERRUPTED } from './events.js';
import { JetError } from './jet-api.js';
import type { JetReading } from './jet-opener.js';
import { JetReader } from './jet-reader.js';
import type { Message } from './protocol.js';
import type { ServerConnection } from './server-connection.js';
import { ServerError } from './server-error.js';

const SECOND_MS = 1000;
const EMPTY: Buffer = Buffer.alloc(0);

export interface NatsSourceOptions extends Omit<ClientOptions, 'action'> {
  subject: string;
  queue: string | undefined;
  /** Called every second while messages arrive that lack a final newline. */
  unterminated: (() => void) | undefined;
  /** Called if the first message is a packet of `frame=mold`; undefined: packets are to pass unchanged. */
  onPackets: (() => void) | undefined;
  /** A stream to read the subject from; undefined: what is published now. */
  reading?: Pick<JetReading, 'stream' | 'durable' | 'fromStart'> | undefined;
}

/** A subscription: each message is a datagram. */
export class NatsSource implements PacketSource, ClientHandler {
  readonly counts = {
    ...{ ...sourceCounts(), ...connectionCounts() },
    ...{ interruptedMs: 0, duplicates: 0, lost: 0 },
  };
  readonly #client: Client;
  readonly #batch = new Batch();
  /** The bytes that a burst lies in, and where its payloads end: they are moved together, as sinks take them cheapest. */
  #slab = EMPTY;
  #end = 0;
  /** The last payloads, if they are equally long. */
  readonly #run = { offset: 0, length: 0, count: 0 };
  #deliver: Deliver = () => undefined;
  #stored: () => Promise<void> | undefined = () => undefined;
  #attached: ServerConnection | undefined;
  /** When the connection was lost; undefined: it is there, or never was. */
  #lostAt: number | undefined;
  /** Deliveries whose sinks have no room yet. */
  #waiting = 0;
  #sawUnterminated = false;
  #isFirst = true;
  #stopped = false;
  readonly #reader: JetReader | undefined;
  /** Why the stream cannot be read. */
  #failed: unknown;

  constructor(
    program: Program,
    private readonly options: NatsSourceOptions,
  ) {
    this.#batch.lent = true;
    this.#client = new Client(program, { ...options, action: 'receiving' }, this);
    const { subject, queue, reading, name } = options;
    if (reading) this.#reader = new JetReader(this.#client, { ...reading, subject, name }, this);
    else this.#client.subscribe({ subject, queue, onMessage: (message) => this.onMessage(message) });
  }

  get name(): string {
    return this.options.name;
  }

  get disconnected(): string | undefined {
    return this.#client.disconnected ?? this.#reader?.unusable;
  }

  /** Nothing can be requested over a subject. */
  get lossAdvice(): string {
    return this.#reader
      ? 'the stream can keep more; see its limits, and the losses that the senders report'
      : 'a subject keeps nothing: use a stream (stream=NAME)';
  }

  async run(deliver: Deliver, stored: () => Promise<void> | undefined): Promise<void> {
    this.#deliver = deliver;
    this.#stored = stored;
    const timer = setInterval(() => this.#checkNewlines(), SECOND_MS).unref();
    try {
      await this.#client.run();
      if (this.#failed) throw this.#failed;
    } catch (error) {
      // It never received.
      this.#lostAt = undefined;
      if (!(error instanceof ServerError || error instanceof JetError)) throw error;
      throw failure('MPROXY_UPSTREAM', 'receiving', this.name, error);
    } finally {
      clearInterval(timer);
      this.#checkNewlines();
      this.#endGap();
    }
  }

  get resumed(): PacketSource['resumed'] {
    return this.#reader?.resumed;
  }

  stop(): void {
    this.#stopped = true;
    void (this.#reader ?? this.#client).end();
  }

  /** @internal called by the reader */
  get isHeld(): boolean {
    return this.#waiting > 0;
  }

  /** @internal called by the reader: the stream cannot be read */
  onFailed(error: unknown): void {
    this.#failed = error;
    this.#client.close();
  }

  onAttached(connection: ServerConnection): void {
    this.#attached = connection;
    const gapMs = this.#endGap();
    if (gapMs !== undefined)
      this.#client.notices.emit(SUBSCRIPTION_INTERRUPTED, { address: this.name, gapMs });
    if (this.#waiting > 0) connection.pause();
    this.#reader?.attached(connection);
  }

  onDetached(): void {
    if (this.#reader) this.#reader.detached();
    else if (!this.#stopped) this.#lostAt = this.#attached?.endedAt ?? performance.now();
  }

  onLeaving(): void {}

  onDenied({ message }: ServerError): string {
    if (!this.#reader) return 'data are lost';
    return message.includes('$JS.ACK.') ? 'messages are received again' : 'nothing is received';
  }

  onDrain(): void {}

  onBurstEnd(): void {
    this.#passBurst();
    this.#slab = EMPTY;
    // After the sinks wrote it: the route has them do that at the end of the turn, too, and before.
    if (this.#reader) setImmediate(() => this.#waiting === 0 && this.#reader!.taken(this.#stored));
  }

  #passBurst(): void {
    this.#endRun();
    if (this.#batch.count > 0) this.#pass();
    this.#batch.large = false;
  }

  /** @returns how long there was no connection, in whole milliseconds */
  #endGap(): number | undefined {
    if (this.#lostAt === undefined) return undefined;
    const gapMs = Math.ceil(performance.now() - this.#lostAt);
    this.#lostAt = undefined;
    this.counts.interruptedMs += gapMs;
    return gapMs;
  }

  /** @internal called for each message */
  onMessage(message: Message): void {
    const { bytes, offset, length } = message;
    if (length === 0) this.counts.empty++;
    if (this.#isFirst) this.#onFirst(message);
    if (bytes !== this.#slab) {
      this.#passBurst();
      this.#slab = bytes;
      this.#end = offset;
    }
    const run = this.#run;
    if (length !== run.length) this.#endRun();
    if (run.count++ === 0) {
      run.offset = this.#end;
      run.length = length;
    }
    if (offset !== this.#end) bytes.copyWithin(this.#end, offset, offset + length);
    this.#end += length;
  }

  #onFirst({ bytes, offset, length }: Message): void {
    this.#isFirst = false;
    if (this.options.onPackets && isPacket(bytes, offset, length)) this.options.onPackets();
  }

  #endRun(): void {
    const { offset, length, count } = this.#run;
    this.#run.count = 0;
    if (count === 0) return;
    this.#batch.large ||= length > MAX_DATAGRAM;
    this.#batch.addRuns(this.#slab, offset, length, count, this.#pass);
  }

  readonly #pass = (): void => {
    const { counts } = this;
    const batch = this.#batch;
    counts.datagrams += batch.datagrams;
    counts.bytes += batch.bytes;
    this.#sawUnterminated ||= batch.unterminated;
    const room = this.#deliver(batch);
    batch.reset(batch.slab);
    if (!room) return;
    this.#waiting++;
    this.#client.connection?.pause();
    void room.then(() => {
      if (--this.#waiting > 0) return;
      this.#client.connection?.resume();
      this.#reader?.taken(this.#stored);
    });
  };

  #checkNewlines(): void {
    if (this.#sawUnterminated) this.options.unterminated?.();
    this.#sawUnterminated = false;
  }
}
