import { setTimeout as wait } from 'node:timers/promises';
import { throwInternal } from 'mproxy-base';
import { Backoff } from 'mproxy-net';
import type { PacketSource } from '../../transport.js';
import type { Client } from './client.js';
import { CONSUMER_RENEWED, STREAM_LOST, STREAM_REMOVED } from './events.js';
import { JetAcks } from './jet-acks.js';
import { streamInfo } from './jet-api.js';
import type { Durable } from './jet-consumer.js';
import { Delivery } from './jet-delivery.js';
import { type GapHandler, JetGaps, type Range } from './jet-gaps.js';
import { JetOpener, type JetReading } from './jet-opener.js';
import { Pull } from './jet-pull.js';
import { JetStream } from './jet-stream.js';
import type { Message } from './protocol.js';
import { Requests } from './requests.js';
import type { ServerConnection } from './server-connection.js';

const SECOND_MS = 1000;
/** Limit on the end, in milliseconds: until the sinks took what was received, and the server the acknowledgements. */
const END_MS = 300;
/** How often gaps are compared with the state of the stream at most, in milliseconds. */
const COMPARE_MS = 5000;

export interface JetReaderHandler {
  /** The message is lent for the call; its payload until the end of the burst. */
  onMessage(message: Message): void;
  /** The stream cannot be read. */
  onFailed(error: unknown): void;
  /** Whether sinks have no room. */
  readonly isHeld: boolean;
  readonly counts: { duplicates: number; lost: number };
}

/** Reads a stream: in order, once, and what it removed before is reported. */
export class JetReader implements GapHandler {
  readonly #requests: Requests;
  readonly #stream: JetStream;
  readonly #acks: JetAcks;
  readonly #gaps: JetGaps;
  readonly #delivery = new Delivery();
  readonly #backoff = new Backoff();
  readonly #timer: NodeJS.Timeout;
  readonly #opener: JetOpener;
  #pull: Pull | undefined;
  /** The last messages, of those that a consumer may send again. */
  readonly #recent = new Set<number>();
  #comparedAt = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(
    private readonly client: Client,
    private readonly options: JetReading,
    private readonly handler: JetReaderHandler,
  ) {
    const { stream, subject, name, durable } = options;
    this.#requests = new Requests(client);
    this.#stream = new JetStream(client, this.#requests, { stream, subject, name, action: 'receiving' });
    this.#acks = new JetAcks(client);
    this.#gaps = new JetGaps(subject, durable === undefined, this);
    this.#opener = new JetOpener(client, this.#requests, options, this.#gaps, () => {
      this.#recent.clear();
      this.#acks.clear();
    });
    this.#timer = setInterval(() => this.#check(), SECOND_MS).unref();
  }

  /** How it goes on where a former run ended; undefined: it does not. */
  get resumed(): PacketSource['resumed'] {
    return this.#opener.resumed;
  }

  /** Why the stream cannot be read now. */
  get unusable(): string | undefined {
    return this.#stream.unusable;
  }

  attached(connection: ServerConnection): void {
    this.#acks.send();
    void this.#begin(connection).catch((error) => this.handler.onFailed(error));
  }

  detached(): void {
    this.#endPull();
    this.#requests.abort();
  }

  /** The sinks took everything that was received. @param stored undefined when they also stored it, else resolves when they have */
  taken(stored: () => Promise<void> | undefined): void {
    if (this.#opener.durable) this.#acks.taken(stored());
  }

  /** Requests nothing more, and acknowledges what the sinks take. */
  async end(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#endPull();
    const { connection } = this.client;
    if (connection) await Promise.race([this.#settle(connection), wait(END_MS)]);
    this.client.close();
  }

  async #settle(connection: ServerConnection): Promise<void> {
    await this.#acks.done();
    await connection.ping();
  }

  async #begin(connection: ServerConnection): Promise<void> {
    const isReady = await this.#stream.prepare(connection, (info) =>
      this.#opener.open(info, this.#stream.info),
    );
    const { consumer } = this.#opener;
    if (!isReady || consumer === undefined || this.#stopped) return;
    const onEnd = (why: string) => void this.#renew(connection, why);
    const take = (message: Message) => this.#take(message, onEnd);
    const { stream } = this.options;
    this.#pull = new Pull(this.client, connection, stream, consumer, take, onEnd);
    this.#pull.request();
  }

  #take(message: Message, onEnd: (why: string) => void): void {
    const delivery = this.#delivery;
    if (!this.#pull || !delivery.read(message)) return;
    const { sequence } = delivery;
    const { durable } = this.#opener;
    const isNew = durable ? this.#isNew(sequence, durable) : sequence >= this.#gaps.next;
    if (!this.#gaps.take(delivery)) {
      onEnd('messages of the consumer were lost');
      return;
    }
    if (durable) this.#acks.add(sequence, message.reply);
    if (!isNew) {
      this.handler.counts.duplicates++;
      return;
    }
    this.#backoff.delivered();
    this.handler.onMessage(message);
  }

  #isNew(sequence: number, { maxPending }: Durable): boolean {
    const recent = this.#recent;
    if (recent.has(sequence)) return false;
    recent.add(sequence);
    if (recent.size > maxPending) for (const oldest of recent) return recent.delete(oldest);
    return true;
  }

  /** Called every second. */
  #check(): void {
    this.#pull?.check(this.handler.isHeld);
    const { durable } = this.#opener;
    if (durable) this.#acks.renew(durable.ackWaitMs);
    const now = performance.now();
    if (!this.client.connection || now - this.#comparedAt < COMPARE_MS) return;
    const range = this.#gaps.doubtful();
    if (!range) return;
    this.#comparedAt = now;
    void this.#compare(range);
  }

  async #compare(range: Range): Promise<void> {
    const { stream, subject } = this.options;
    try {
      const info = await streamInfo(this.#requests, stream, subject);
      if (info.created === this.#stream.info?.created) this.#gaps.compare(range, info);
    } catch (error) {
      throwInternal(error);
      // It is tried again: what prevented it is reported where it concerns the messages, too.
      this.#gaps.doubt(range);
    }
  }

  /** @internal called by the gaps */
  onLost({ first, last }: Range): void {
    const { name: address, stream } = this.options;
    this.handler.counts.lost += last + 1 - first;
    this.client.notices.emit(STREAM_LOST, { address, stream, first, last });
  }

  /** @internal called by the gaps */
  onRemoved({ first, last }: Range): void {
    const { name: address, stream } = this.options;
    this.client.notices.emit(STREAM_REMOVED, { address, stream, first, last });
  }

  async #renew(connection: ServerConnection, reason: string): Promise<void> {
    if (!this.#pull) return;
    this.#endPull();
    const { name: address, stream } = this.options;
    this.client.notices.emit(CONSUMER_RENEWED, { address, stream, reason });
    await Promise.race([connection.closed, wait(this.#backoff.next(), undefined, { ref: false })]);
    if (this.client.connection === connection && !this.#stopped) this.attached(connection);
  }

  #endPull(): void {
    this.#pull?.stop();
    this.#pull = undefined;
  }
}
