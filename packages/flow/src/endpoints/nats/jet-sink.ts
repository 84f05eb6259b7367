import { showMemory } from 'mproxy-base';
import type { Batch, Frame } from 'mproxy-framing';
import { Progress } from 'mproxy-net';
import { addError, connectionCounts, sinkCounts } from '../../counts.js';
import { Drops } from '../../drops.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import { MOLD_FLAG_NAMES } from '../mold/flags.js';
import { Client, type ClientOptions } from './client.js';
import type { ClientHandler } from './client-handler.js';
import { endSending, NOT_SENT } from './end-sending.js';
import { MESSAGES_RESENT } from './events.js';
import { MAX_PAYLOAD } from './info.js';
import { JetSender, type JetSending } from './jet-sender.js';
import { JetStream } from './jet-stream.js';
import { eachPiece } from './pieces.js';
import { Requests } from './requests.js';
import type { ServerConnection } from './server-connection.js';

export interface JetSinkOptions extends Omit<ClientOptions, 'action'>, JetSending {
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
    ...{ ...sinkCounts(), ...connectionCounts() },
    ...{ acknowledged: 0, resent: 0, duplicates: 0, refusedMessages: 0 },
  };
  readonly #client: Client;
  readonly #stream: JetStream;
  readonly #sender: JetSender;
  readonly #run: Promise<void>;
  #aborted = false;
  #isRefused = false;
  readonly #progress = new Progress();
  #maxPayload = MAX_PAYLOAD;
  readonly #drops = new Drops(this);

  constructor(
    private readonly program: Program,
    private readonly options: JetSinkOptions,
  ) {
    const { subject, stream, name } = options;
    this.#client = new Client(program, { ...options, action: 'sending' }, this);
    const requests = new Requests(this.#client);
    this.#stream = new JetStream(this.#client, requests, { stream, subject, name, action: 'sending' });
    this.#sender = new JetSender(this.#client, options, this.counts, () => this.#tooLong());
    this.#run = this.#client.run().catch((error) => this.#failed(error));
  }

  get name(): string {
    return this.options.name;
  }

  get disconnected(): string | undefined {
    return this.#client.disconnected ?? this.#stream.unusable;
  }

  get dropReason(): string {
    if (this.#isRefused) return NOT_SENT;
    if (this.#drops.reason !== undefined) return this.#drops.reason;
    return this.options.waits
      ? 'the stream did not acknowledge them before the end'
      : 'the stream did not acknowledge them in time';
  }

  get dropAdvice(): string | undefined {
    return this.#isRefused
      ? undefined
      : `see ${this.options.waits ? MOLD_FLAG_NAMES.linger : MOLD_FLAG_NAMES.retain}`;
  }

  errorAdvice(code: string): string | undefined {
    return code === 'EMSGSIZE'
      ? `the server takes up to ${showMemory(this.#maxPayload)} (max_payload), headers included`
      : undefined;
  }

  write(batch: Batch): void {
    batch.each((offset, length) => this.#publish(batch.slab, offset, length));
  }

  flush(): void {
    this.#sender.send();
  }

  room(): Promise<void> | undefined {
    return this.options.waits ? this.#progress.until(() => this.#hasRoom() || this.#aborted) : undefined;
  }

  stored(): Promise<void> | undefined {
    const { window } = this.#sender;
    const { last } = window;
    return this.#progress.until(() => window.isDone(last));
  }

  abortPending(): void {
    this.#aborted = true;
    this.#progress.advance();
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.abortPending(), this.options.linger);
    const { window } = this.#sender;
    this.flush();
    await this.#progress.until(() => window.count === 0 || this.#aborted);
    clearTimeout(timer);
    this.#sender.close();
    this.#client.close();
    await this.#run;
    this.#drops.add(window.count);
  }

  onAttached(connection: ServerConnection): void {
    this.#maxPayload = connection.info.maxPayload;
    const prepared = this.#stream.prepare(connection);
    void prepared.then((isReady) => isReady && this.#begin(connection)).catch((error) => this.#failed(error));
  }

  onLeaving(): void {
    this.#sender.hold();
  }

  onDetached(): void {
    this.#sender.detach();
    this.#stream.requests.abort();
  }

  onDenied(): string {
    return 'messages wait';
  }

  onDrain(): void {
    this.#sender.drained();
  }

  onBurstEnd(): void {
    this.flush();
    this.#progress.advance();
  }

  /** A window of messages waits beside the one that is sent, at most. */
  #hasRoom(): boolean {
    const { window, retain } = this.options;
    const { unsent, bytes } = this.#sender.window;
    return unsent <= window && bytes <= retain;
  }

  /** The stream is there. */
  #begin(connection: ServerConnection): void {
    const messages = this.#sender.attach(connection);
    if (messages === 0) return;
    const windowMs = this.#stream.info!.duplicateWindowMs;
    this.#client.notices.emit(MESSAGES_RESENT, { address: this.name, messages, windowMs });
  }

  #publish(slab: Buffer, offset: number, length: number): void {
    const { frame } = this.options;
    const largest = this.#sender.longestFor(this.#maxPayload);
    if (length <= largest) {
      this.#add(slab, offset, length);
      return;
    }
    const add = (at: number, size: number) => this.#add(slab, at, size);
    if (!eachPiece(slab, offset, offset + length, { frame, largest }, add)) addError(this.counts, 'EMSGSIZE');
  }

  #add(slab: Buffer, offset: number, length: number): void {
    const { window } = this.#sender;
    if (!this.options.waits && window.bytes + length > this.options.retain) {
      this.#drops.add(1);
      return;
    }
    window.add(slab, offset, length);
  }

  /** A message that was taken is longer than a server, another one or with a new configuration, accepts. */
  #tooLong(): void {
    addError(this.counts, 'EMSGSIZE');
    this.#progress.advance();
  }

  /** The server refused the login, or has no such stream, at the start: there is nothing to send to. */
  #failed(error: unknown): void {
    this.#isRefused = true;
    this.abortPending();
    endSending(this.program, this.name, error);
  }
}
