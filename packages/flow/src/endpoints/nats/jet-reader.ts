import { setTimeout as wait } from 'node:timers/promises';
import { Backoff } from 'mproxy-net';
import { Progress } from '../../stream/progress.js';
import type { Client } from './client.js';
import {
  CONSUMER_CREATED,
  CONSUMER_RENEWED,
  CONSUMER_RESUMED,
  STREAM_LOST,
  STREAM_REPLACED,
} from './events.js';
import type { StreamInfo } from './jet-api.js';
import { type Consumer, createOrdered, openDurable, removedAfter } from './jet-consumer.js';
import { Delivery } from './jet-delivery.js';
import { Pull } from './jet-pull.js';
import { JetStream } from './jet-stream.js';
import type { Message } from './protocol.js';
import { Requests } from './requests.js';
import type { ServerConnection } from './server-connection.js';

const SECOND_MS = 1000;
/** Limit on the end, in milliseconds: until the sinks took what was received, and the server the acknowledgements. */
const END_MS = 300;

export interface JetReading {
  stream: string;
  /** A durable consumer, which keeps the position; undefined: the position is known here alone. */
  durable: string | undefined;
  /** Whether to begin with the first message of the stream; else with what comes from now on. */
  fromStart: boolean;
}

export interface JetReaderHandler {
  /** The message is lent for the call; its payload until the end of the burst. */
  onMessage(message: Message): void;
  /** The stream cannot be read. */
  onFailed(error: unknown): void;
  /** Whether sinks have no room. */
  readonly isHeld: boolean;
  readonly counts: { duplicates: number; lost: number };
}

/** Reads a stream: in order, once, and what it has no more is reported. */
export class JetReader {
  readonly #requests: Requests;
  readonly #stream: JetStream;
  readonly #delivery = new Delivery();
  readonly #backoff = new Backoff();
  readonly #timer: NodeJS.Timeout;
  #consumer: Consumer | undefined;
  #pull: Pull | undefined;
  /** The next message of the stream; undefined: not known yet. */
  #next: number | undefined;
  /** What the stream had when it was first seen: gaps up to this message are older than we are. */
  #old = 0;
  /** The number of the last message, among all that the consumer sent. */
  #number = 0;
  /** The last messages, of those that a consumer may send again. */
  readonly #recent = new Set<number>();
  /** Reply subjects of messages that the sinks have not taken, and of those that they stored; how many are in between. */
  #unacknowledged: string[] = [];
  #stored: string[] = [];
  #storing = 0;
  readonly #progress = new Progress();
  #stopped = false;

  constructor(
    private readonly client: Client,
    private readonly options: JetReading & { subject: string; name: string },
    private readonly handler: JetReaderHandler,
  ) {
    const { stream, subject, name } = options;
    this.#requests = new Requests(client);
    this.#stream = new JetStream(client, this.#requests, { stream, subject, name, action: 'receiving' });
    this.#timer = setInterval(() => this.#pull?.check(handler.isHeld), SECOND_MS).unref();
  }

  attached(connection: ServerConnection): void {
    this.#acknowledge();
    void this.#begin(connection).catch((error) => this.handler.onFailed(error));
  }

  detached(): void {
    this.#endPull();
    this.#requests.abort();
  }

  /** The sinks took everything that was received. @param stored resolves when they also stored it; undefined: they have */
  taken(stored: Promise<void> | undefined): void {
    const taken = this.#unacknowledged;
    this.#unacknowledged = [];
    if (taken.length === 0) return;
    this.#storing += taken.length;
    const acknowledge = () => {
      this.#storing -= taken.length;
      for (const reply of taken) this.#stored.push(reply);
      this.#acknowledge();
    };
    if (stored) void stored.then(acknowledge);
    else acknowledge();
  }

  /** Acknowledges what is stored. Without a connection that has to wait for the next. */
  #acknowledge(): void {
    const { connection } = this.client;
    if (!connection || this.#stored.length === 0) return;
    const acks = this.#stored.map((reply) => `PUB ${reply} 4\r\n+ACK\r\n`).join('');
    this.#stored = [];
    connection.connection.write([Buffer.from(acks)]);
    this.#progress.advance();
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
    await this.#progress.until(() => this.#unacknowledged.length + this.#storing + this.#stored.length === 0);
    await connection.ping();
  }

  async #begin(connection: ServerConnection): Promise<void> {
    const isReady = await this.#stream.prepare(connection, (info) => this.#open(info));
    const consumer = this.#consumer;
    if (!isReady || !consumer || this.#stopped) return;
    const onEnd = (why: string) => void this.#renew(connection, why);
    const take = (message: Message) => this.#take(message, onEnd);
    const { stream } = this.options;
    this.#pull = new Pull(this.client, connection, stream, consumer.name, take, onEnd);
    this.#pull.request();
  }

  /** Opens a consumer where the last one ended. */
  async #open(info: StreamInfo): Promise<void> {
    const { stream, subject, durable, fromStart } = this.options;
    if (this.#next === undefined) {
      this.#old = info.last;
      this.#next = fromStart ? info.first : info.last + 1;
    } else this.#compare(info);
    this.#number = 0;
    if (durable !== undefined) await this.#openDurable(durable, info);
    else this.#consumer = await createOrdered(this.#requests, stream, subject, this.#next);
  }

  /** Compares the stream with what was read of it. */
  #compare(info: StreamInfo): void {
    const before = this.#stream.info;
    const isOther = before !== undefined && before.created !== info.created;
    if (isOther || info.last + 1 < this.#next!) {
      this.#next = isOther ? info.first : info.last + 1;
      this.#recent.clear();
      const { name: address, stream } = this.options;
      this.client.notices.emit(STREAM_REPLACED, { address, stream, next: this.#next });
    } else if (this.options.durable === undefined) this.#lose(removedAfter(this.#next! - 1, info));
  }

  async #openDurable(name: string, info: StreamInfo): Promise<void> {
    const { stream, name: address } = this.options;
    const { notices } = this.client;
    const isFirst = !this.#consumer;
    const durable = await openDurable(this.#requests, {
      ...this.options,
      durable: name,
      info,
      first: this.#next!,
    });
    this.#consumer = durable;
    const { floor, pending, waitMs, isNew } = durable;
    if (isNew) notices.emit(CONSUMER_CREATED, { address, stream, durable: name });
    else if (isFirst) {
      this.#next = floor + 1;
      this.#old = floor;
      if (pending > 0) notices.emit(CONSUMER_RESUMED, { address, stream, floor, pending, waitMs });
    }
    // Others may share the consumer: what is acknowledged was received.
    this.#lose(removedAfter(Math.max(floor, this.#next! - 1), info));
    // Until then the server would send newer messages before them.
    if (pending > 0) await wait(waitMs, undefined, { ref: false });
  }

  #take(message: Message, onEnd: (why: string) => void): void {
    if (!this.#pull || !this.#delivery.read(message)) return;
    const { sequence, number } = this.#delivery;
    const { acknowledges } = this.#consumer!;
    const isNext = number === this.#number + 1;
    this.#number = number;
    if (!acknowledges && !isNext) {
      onEnd('messages of the consumer were lost');
      return;
    }
    if (acknowledges) this.#unacknowledged.push(message.reply);
    if (acknowledges ? !this.#isNew(sequence) : sequence < this.#next!) {
      this.handler.counts.duplicates++;
      return;
    }
    // A durable consumer sends again what a former receiver did not acknowledge, each message at its own time.
    if (!acknowledges && this.#hasAll && sequence > this.#next!)
      this.#lose({ first: this.#next!, last: sequence - 1 });
    this.#next = Math.max(this.#next!, sequence + 1);
    this.#backoff.delivered();
    this.handler.onMessage(message);
  }

  /** Whether the subject is all that the stream takes: its numbers then have no gaps but of what was removed. */
  get #hasAll(): boolean {
    const { subjects } = this.#stream.info!;
    return subjects.length === 1 && subjects[0] === this.options.subject;
  }

  #isNew(sequence: number): boolean {
    const recent = this.#recent;
    if (recent.has(sequence)) return false;
    recent.add(sequence);
    if (recent.size > this.#consumer!.maxPending) for (const oldest of recent) return recent.delete(oldest);
    return true;
  }

  #lose(range: { first: number; last: number } | undefined): void {
    const { name: address, stream } = this.options;
    const first = Math.max(range?.first ?? 0, this.#old + 1);
    if (!range || first > range.last) return;
    this.#next = Math.max(this.#next!, range.last + 1);
    this.handler.counts.lost += range.last + 1 - first;
    this.client.notices.emit(STREAM_LOST, { address, stream, first, last: range.last });
  }

  async #renew(connection: ServerConnection, reason: string): Promise<void> {
    if (!this.#pull) return;
    this.#endPull();
    const { name: address, stream } = this.options;
    this.client.notices.emit(CONSUMER_RENEWED, { address, stream, reason, next: this.#next! });
    await Promise.race([connection.closed, wait(this.#backoff.next(), undefined, { ref: false })]);
    if (this.client.connection === connection && !this.#stopped) this.attached(connection);
  }

  #endPull(): void {
    this.#pull?.stop();
    this.#pull = undefined;
  }
}
