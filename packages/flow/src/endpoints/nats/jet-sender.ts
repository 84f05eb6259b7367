import { Backoff } from 'mproxy-net';
import type { Client } from './client.js';
import { ACKNOWLEDGEMENT_LATE, MESSAGE_REFUSED, PUBLISH_REFUSED } from './events.js';
import { AckReader } from './jet-ack.js';
import { JetEncoder } from './jet-encoder.js';
import { JetWindow } from './jet-window.js';
import type { Message } from './protocol.js';
import type { ServerConnection } from './server-connection.js';

/** How long acknowledgements may be missing before messages are sent again, and how often that is looked at, in milliseconds. */
const LATE_MS = 5000;
const CHECK_MS = 1000;

export interface JetSending {
  subject: string;
  stream: string;
  /** The most messages that are sent and not acknowledged. */
  window: number;
  /** Of the address, for the user. */
  name: string;
}

/** What became of the messages that were sent. */
interface JetCounts {
  /** Those that were acknowledged, and the bytes of their payloads. */
  datagrams: number;
  bytes: number;
  acknowledged: number;
  resent: number;
  duplicates: number;
  refusedMessages: number;
}

/**
 * Sends messages to a stream until each is acknowledged or refused for good: again on a new connection, after an answer that the
 * stream cannot take them now, and when no answer comes.
 */
export class JetSender {
  readonly window: JetWindow;
  readonly #encoder: JetEncoder;
  readonly #acks: AckReader;
  readonly #backoff = new Backoff();
  readonly #timer: NodeJS.Timeout;
  /** The connection that messages are sent by: the stream was found there. */
  #ready: ServerConnection | undefined;
  /** The connection has not taken what it was given. */
  #isGiven = false;
  /** The stream refused messages: nothing is sent until the timer ends. */
  #retry: NodeJS.Timeout | undefined;
  /** When the last acknowledgement came, or what has none yet began to be sent. */
  #lastAck = 0;

  constructor(
    private readonly client: Client,
    private readonly options: JetSending,
    private readonly counts: JetCounts,
    onTooLong: () => void,
  ) {
    const { subject, stream, window } = options;
    this.#encoder = new JetEncoder(subject, stream);
    this.window = new JetWindow(this.#encoder, window, onTooLong);
    this.#acks = new AckReader(stream, this.#encoder.inbox);
    client.subscribe({
      subject: `${this.#encoder.inbox}*`,
      onMessage: (message) => this.#answered(message),
    });
    this.#timer = setInterval(() => this.#check(), CHECK_MS).unref();
  }

  /** The longest payload that a server takes with the headers of a message, in bytes; not positive: it takes none. */
  longestFor(maxPayload: number): number {
    return maxPayload - this.#encoder.headers;
  }

  /** Sends by a connection from now on. @returns how many messages, sent before without an acknowledgement, are sent again */
  attach(connection: ServerConnection): number {
    this.#ready = connection;
    this.window.longest = this.longestFor(connection.info.maxPayload);
    this.#lastAck = performance.now();
    const messages = this.window.rewind();
    this.send();
    return messages;
  }

  /** Sends nothing more by the connection; what it has may still be taken, and acknowledged. */
  hold(): void {
    this.#ready = undefined;
  }

  /** The connection is closed. */
  detach(): void {
    this.#ready = undefined;
    this.#isGiven = false;
  }

  /** The connection took what it was given. */
  drained(): void {
    this.#isGiven = false;
    this.send();
  }

  /** Sends what waits, as far as the window allows. */
  send(): void {
    while (this.#ready && !this.#isGiven && !this.#retry) {
      const wasIdle = this.window.outstanding === 0;
      const bytes = this.window.take();
      if (!bytes) break;
      if (wasIdle) this.#lastAck = performance.now();
      this.#isGiven = !this.#ready.connection.write([bytes]);
    }
    if (!this.#isGiven) this.window.trim();
    this.counts.resent = this.window.resent;
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
  }

  /** An answer to the inbox of acknowledgements. The last token of its subject is the number of the message. */
  #answered(message: Message): void {
    const { counts } = this;
    const answer = this.#acks.read(message);
    this.#lastAck = performance.now();
    if (typeof answer === 'object' && 'later' in answer) {
      this.#wait(answer.later);
      return;
    }
    const number = this.#acks.number(message);
    if (!this.window.done(number)) return;
    if (typeof answer === 'object') {
      counts.refusedMessages++;
      this.client.notices.emit(MESSAGE_REFUSED, { address: this.options.name, reason: answer.never });
      return;
    }
    this.#backoff.delivered();
    counts.acknowledged++;
    counts.datagrams++;
    counts.bytes += this.window.lengthOf(number);
    if (answer === 'duplicate') counts.duplicates++;
  }

  /** The stream cannot take messages now: after a delay all that it did not acknowledge are sent again, the oldest alone first. */
  #wait(reason: string): void {
    if (this.#retry) return;
    const retryMs = this.#backoff.next();
    this.client.notices.emit(PUBLISH_REFUSED, { address: this.options.name, reason, retryMs });
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.window.slowDown();
      this.window.rewind();
      this.send();
    }, retryMs);
  }

  #check(): void {
    const messages = this.window.outstanding;
    if (!this.#ready || this.#retry || messages === 0) return;
    if (this.#isGiven || performance.now() - this.#lastAck < LATE_MS) return;
    const { name: address } = this.options;
    this.client.notices.emit(ACKNOWLEDGEMENT_LATE, { address, messages, waitedMs: LATE_MS });
    this.#lastAck = performance.now();
    this.window.rewind();
    this.send();
  }
}
