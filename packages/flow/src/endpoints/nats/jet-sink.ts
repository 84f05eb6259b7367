import { showMemory } from 'mproxy-base';
import type { Batch, Frame } from 'mproxy-framing';
import { Backoff, Progress } from 'mproxy-net';
import { addError, sinkCounts } from '../../counts.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import { MOLD_FLAG_NAMES } from '../mold/flags.js';
import { Client, type ClientHandler, type ClientOptions } from './client.js';
import { ACKNOWLEDGEMENT_LATE, MESSAGE_REFUSED, MESSAGES_RESENT, PUBLISH_REFUSED } from './events.js';
import { MAX_PAYLOAD } from './info.js';
import { AckReader } from './jet-ack.js';
import { JetError } from './jet-api.js';
import { JetEncoder } from './jet-encoder.js';
import { JetStream } from './jet-stream.js';
import { JetWindow } from './jet-window.js';
import { eachPiece } from './pieces.js';
import type { Message } from './protocol.js';
import { Requests } from './requests.js';
import type { ServerConnection } from './server-connection.js';
import { ServerError } from './server-error.js';

/** How long acknowledgements may be missing before messages are sent again, and how often that is looked at, in milliseconds. */
const LATE_MS = 5000;
const CHECK_MS = 1000;

export interface JetSinkOptions extends Omit<ClientOptions, 'action'> {
  subject: string;
  stream: string;
  /** The most messages that are sent and not acknowledged. */
  window: number;
  /** Limit on the memory of messages that are not acknowledged, in bytes. */
  retain: number;
  /** The frame of the stream that the datagrams are cut from; undefined: they are datagrams, which are never cut. */
  frame: Frame | undefined;
  /** Whether sources wait while there is no room; else datagrams are dropped. */
  waits: boolean;
  /** How long the end waits for acknowledgements, in milliseconds. */
  linger: number;
}

/** A stream that datagrams are published to, each as a message that is kept until the stream acknowledged it. */
export class JetSink implements Sink, ClientHandler {
  readonly counts = {
    ...{ ...sinkCounts(), connections: { now: 0, ever: 0 }, reconnects: 0 },
    ...{ acknowledged: 0, resent: 0, duplicates: 0, refusedMessages: 0 },
  };
  readonly #client: Client;
  readonly #stream: JetStream;
  readonly #encoder: JetEncoder;
  readonly #window: JetWindow;
  readonly #acks: AckReader;
  readonly #run: Promise<void>;
  #aborted = false;
  readonly #progress = new Progress();
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
  #maxPayload = MAX_PAYLOAD;

  constructor(
    private readonly program: Program,
    private readonly options: JetSinkOptions,
  ) {
    const { subject, stream, window, name } = options;
    this.#encoder = new JetEncoder(subject, stream);
    this.#window = new JetWindow(this.#encoder, window);
    this.#acks = new AckReader(stream, this.#encoder.inbox);
    this.#client = new Client(program, { ...options, action: 'sending' }, this);
    const requests = new Requests(this.#client);
    this.#stream = new JetStream(this.#client, requests, { stream, subject, name, action: 'sending' });
    this.#client.subscribe({
      subject: `${this.#encoder.inbox}*`,
      onMessage: (message) => this.#answered(message),
    });
    this.#timer = setInterval(() => this.#check(), CHECK_MS).unref();
    this.#run = this.#client.run().catch((error) => this.#failed(error));
  }

  get name(): string {
    return this.options.name;
  }

  get dropReason(): string {
    return this.options.waits
      ? `the stream did not acknowledge them before the end (${MOLD_FLAG_NAMES.linger})`
      : `the stream did not acknowledge them in time; see ${MOLD_FLAG_NAMES.retain}`;
  }

  errorAdvice(code: string): string | undefined {
    if (code === 'EACCES') return 'the login may not publish to the subject';
    return code === 'EMSGSIZE'
      ? `the server takes up to ${showMemory(this.#maxPayload)} (max_payload), headers included`
      : undefined;
  }

  write(batch: Batch): void {
    batch.each((offset, length) => this.#publish(batch.slab, offset, length));
  }

  flush(): void {
    this.#send();
  }

  room(): Promise<void> | undefined {
    return this.options.waits ? this.#progress.until(() => this.#hasRoom() || this.#aborted) : undefined;
  }

  stored(): Promise<void> | undefined {
    const { last } = this.#window;
    return this.#progress.until(() => this.#window.isDone(last));
  }

  abortPending(): void {
    this.#aborted = true;
    this.#progress.advance();
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.abortPending(), this.options.linger);
    this.#send();
    await this.#progress.until(() => this.#window.count === 0 || this.#aborted);
    clearTimeout(timer);
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    this.#client.close();
    await this.#run;
    const { counts } = this;
    counts.dropped += this.#window.count;
    counts.datagrams -= this.#window.count;
  }

  onAttached(connection: ServerConnection): void {
    const { counts } = this;
    if (counts.connections.ever++ > 0) counts.reconnects++;
    counts.connections.now++;
    this.#maxPayload = connection.info.maxPayload;
    const prepared = this.#stream.prepare(connection);
    void prepared.then((isReady) => isReady && this.#begin(connection)).catch((error) => this.#failed(error));
  }

  onLeaving(): void {
    this.#ready = undefined;
  }

  onDetached(): void {
    this.counts.connections.now--;
    this.#ready = undefined;
    this.#isGiven = false;
    this.#stream.requests.abort();
  }

  onDenied(): void {
    addError(this.counts, 'EACCES');
  }

  onDrain(): void {
    this.#isGiven = false;
    this.#send();
  }

  onBurstEnd(): void {
    if (!this.#isGiven) this.#window.trim();
    this.#send();
    this.#progress.advance();
  }

  /** A window of messages waits beside the one that is sent, at most. */
  #hasRoom(): boolean {
    return this.#window.unsent <= this.options.window && this.#window.bytes <= this.options.retain;
  }

  /** The stream is there. What a connection before it sent, and no acknowledgement came of, is sent again. */
  #begin(connection: ServerConnection): void {
    this.#ready = connection;
    this.#lastAck = performance.now();
    const messages = this.#window.rewind();
    const windowMs = this.#stream.info!.duplicateWindowMs;
    if (messages > 0) this.#client.notices.emit(MESSAGES_RESENT, { address: this.name, messages, windowMs });
    this.#send();
  }

  #publish(slab: Buffer, offset: number, length: number): void {
    const { frame } = this.options;
    const largest = this.#maxPayload - this.#encoder.headers;
    if (length <= largest) {
      this.#add(slab, offset, length);
      return;
    }
    const add = (at: number, size: number) => this.#add(slab, at, size);
    if (!eachPiece(slab, offset, offset + length, { frame, largest }, add)) addError(this.counts, 'EMSGSIZE');
  }

  #add(slab: Buffer, offset: number, length: number): void {
    const { counts } = this;
    if (!this.options.waits && this.#window.bytes + length > this.options.retain) {
      counts.dropped++;
      return;
    }
    this.#window.add(slab, offset, length);
    counts.datagrams++;
    counts.bytes += length;
  }

  #send(): void {
    while (this.#ready && !this.#isGiven && !this.#retry) {
      const wasIdle = this.#window.outstanding === 0;
      const bytes = this.#window.take();
      if (!bytes) break;
      if (wasIdle) this.#lastAck = performance.now();
      this.#isGiven = !this.#ready.connection.write([bytes]);
    }
    this.counts.resent = this.#window.resent;
  }

  /** An answer to the inbox of acknowledgements. The last token of its subject is the number of the message. */
  #answered(message: Message): void {
    const { counts } = this;
    const answer = this.#acks.read(message);
    this.#lastAck = performance.now();
    if (typeof answer === 'object' && 'later' in answer) {
      this.#hold(answer.later);
      return;
    }
    if (!this.#window.done(this.#acks.number(message))) return;
    if (typeof answer === 'object') {
      counts.refusedMessages++;
      const event = { address: this.name, reason: answer.never };
      this.#client.notices.emit(MESSAGE_REFUSED, event);
      return;
    }
    this.#backoff.delivered();
    counts.acknowledged++;
    if (answer === 'duplicate') counts.duplicates++;
  }

  /** The stream cannot take messages now: after a delay all that it did not acknowledge are sent again, in order. */
  #hold(why: string): void {
    if (this.#retry) return;
    const retryMs = this.#backoff.next();
    this.#client.notices.emit(PUBLISH_REFUSED, { address: this.name, reason: why, retryMs });
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#window.rewind();
      this.#send();
    }, retryMs);
  }

  #check(): void {
    const messages = this.#window.outstanding;
    if (!this.#ready || this.#retry || messages === 0) return;
    if (this.#isGiven || performance.now() - this.#lastAck < LATE_MS) return;
    this.#client.notices.emit(ACKNOWLEDGEMENT_LATE, { address: this.name, messages, waitedMs: LATE_MS });
    this.#lastAck = performance.now();
    this.#window.rewind();
    this.#send();
  }

  /** The server refused the login, or has no such stream, at the start: there is nothing to send to. */
  #failed(error: unknown): void {
    if (!(error instanceof ServerError || error instanceof JetError)) throw error;
    this.abortPending();
    this.program.fail('MPROXY_SEND', 'sending', this.name, error);
    void this.program.end();
  }
}
