import { randomBytes } from 'node:crypto';
import type { Client } from './client.js';
import { encodePublish, statusOf } from './encoder.js';
import type { Message } from './protocol.js';
import { printable } from './protocol-error.js';
import type { ServerConnection } from './server-connection.js';

/** Messages of one request; half of them asked for, the next request is sent. */
const BATCH = 4096;
/** Bytes of one request: at least this, more where the largest message needs it. */
const MIN_BYTES = 1024 * 1024;
const REQUEST_MS = 30_000;
/** After so long a request is sent even if nothing is read, in milliseconds: well below INACTIVE_NS of jet-consumer.ts. */
const KEEP_MS = 20_000;
/** How often the server says that a request waits for messages, and without such a sign of life what it does not hold, in milliseconds. */
const HEARTBEAT_MS = 5000;
const SILENCE_MS = 2.5 * HEARTBEAT_MS;
const NS_PER_MS = 1e6;
/** Statuses of a request that ended: no messages, time over, bytes used up. */
const ENDED = /^(404|408|409 Message Size Exceeds MaxBytes)/i;

/** Requests messages of a consumer, so that what is on its way is limited. */
export class Pull {
  readonly #inbox = `_INBOX.${randomBytes(12).toString('hex')}.`;
  readonly #subject: string;
  readonly #unsubscribe: () => void;
  #requests = 0;
  /** Messages that were requested and have not come. */
  #wanted = 0;
  #heardAt = performance.now();
  #requestedAt = 0;

  /**
   * @param onMessage takes what is no status of a request
   * @param onEnd nothing more comes
   */
  constructor(
    client: Client,
    private readonly connection: ServerConnection,
    stream: string,
    consumer: string,
    private readonly onMessage: (message: Message) => void,
    private readonly onEnd: (why: string) => void,
  ) {
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#unsubscribe = client.subscribe({
      subject: `${this.#inbox}*`,
      onMessage: (message) => this.#take(message),
    });
  }

  /** Sends the next request, if it is time. */
  request(): void {
    if (this.#wanted <= BATCH / 2) this.#send(BATCH);
  }

  #send(batch: number): void {
    this.#wanted += batch;
    this.#requestedAt = performance.now();
    const body = {
      batch,
      max_bytes: Math.max(MIN_BYTES, 2 * this.connection.info.maxPayload),
      expires: REQUEST_MS * NS_PER_MS,
      idle_heartbeat: HEARTBEAT_MS * NS_PER_MS,
    };
    const reply = `${this.#inbox}${++this.#requests}`;
    this.connection.connection.write([
      encodePublish(this.#subject, Buffer.from(JSON.stringify(body)), { reply }),
    ]);
  }

  /** Called every second. @param isHeld nothing is read at present */
  check(isHeld: boolean): void {
    const now = performance.now();
    if (isHeld) {
      this.#heardAt = now;
      // Requests keep an ordered consumer from being removed: the next ordinary one waits for messages to be read.
      if (now - this.#requestedAt > KEEP_MS) this.#send(1);
    } else if (now - this.#heardAt > SILENCE_MS) this.onEnd('no heartbeat of the consumer');
  }

  /** Takes no more messages. */
  stop(): void {
    this.#unsubscribe();
  }

  #take(message: Message): void {
    this.#heardAt = performance.now();
    const headers = message.headerLength > 0 && message.replyEnd === 0 ? message.headers : '';
    const status = statusOf(headers);
    if (!status) {
      this.#wanted = Math.max(0, this.#wanted - 1);
      this.onMessage(message);
      this.request();
      return;
    }
    if (status.code === 100) return;
    const text = `${status.code} ${status.text}`;
    if (!ENDED.test(text)) {
      this.onEnd(`the server reports: ${printable(text)}`);
      return;
    }
    // Servers before 2.9 do not say what was left of a request.
    const left = Number(/^Nats-Pending-Messages: *(\d+)/im.exec(headers)?.[1] ?? BATCH);
    this.#wanted = Math.max(0, this.#wanted - left);
    this.request();
  }
}
