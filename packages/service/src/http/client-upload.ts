import type { Fields } from 'mproxy-http';
import { CHUNK_HEADER, CRLF, lastChunk, writeChunkHeader } from 'mproxy-http/chunk-encoding';
import type { Connection } from 'mproxy-net';
import type { Body, BodySink } from './body.js';
import { staged, staging } from './client-staging.js';

/** Most bytes around the data of a chunk. */
const CHUNK_FRAME = CHUNK_HEADER + CRLF.length;
/** Bytes of a body that are kept, so that a request can be sent once more. */
const KEPT = 16 * 1024;
const NOTHING = new Uint8Array(0);

/** A connection that takes an upload. */
export interface UploadTarget {
  readonly connection: Connection;
  /** The upstream takes nothing more at the moment; it does again. */
  onBlocked(): void;
  onUnblocked(): void;
  /** The whole request was taken. */
  onUploaded(): void;
  /** The body broke off. */
  onBroken(error: Error): void;
}

/** The body of a request on its way to an upstream, over one connection after another if the request is sent again. */
export class Upload implements BodySink {
  readonly chunked: boolean;
  #target: UploadTarget | undefined;
  #started = false;
  #ended = false;
  #blocked = false;
  #stopped = false;
  /** Bytes in the staging buffer, which are sent together; -1: none are collected. */
  #staged = -1;
  /** Bytes of the head among them. */
  #head = 0;
  /** Whether the target took anything. */
  #sent = false;
  /** The framed bytes of the body until now; undefined: it cannot be sent again. */
  #kept: Buffer[] | undefined;
  #keptBytes = 0;

  /**
   * @param repeats whether the request may be sent again after bytes were sent
   * @param withheld names that no trailer may have, in any spelling
   */
  constructor(
    private readonly body: Body,
    private readonly repeats: boolean,
    private readonly withheld: readonly string[] = [],
  ) {
    this.chunked = body.length === undefined;
    if (repeats) this.#kept = [];
  }

  /** Whether the body can be sent from its beginning. */
  get isAvailable(): boolean {
    return !this.#stopped && (!this.#started || this.#kept !== undefined);
  }

  get isComplete(): boolean {
    return this.#ended && !this.#blocked;
  }

  /** Sends the body. @param head of the request, see {@link writeHead}, which is sent first */
  begin(target: UploadTarget, head: Uint8Array = NOTHING): void {
    const isStaged = head.buffer === staging.buffer;
    this.#target = target;
    this.#head = isStaged ? head.length : 0;
    this.#staged = this.#head;
    this.#sent = false;
    this.#blocked = false;
    if (!isStaged && head.length > 0) this.#send(head, head.length);
    const again = this.#kept?.splice(0) ?? [];
    this.#keptBytes = 0;
    if (!this.repeats) this.#kept = undefined;
    for (const bytes of again) this.#stage(bytes);
    if (!this.#started) {
      this.#started = true;
      this.body.start(this);
    } else if (!this.#ended) this.body.resume();
    this.#flush();
    this.#settle();
  }

  onData(bytes: Uint8Array): void {
    if (this.#stopped) return;
    if (this.#staged >= 0) this.#frame(bytes);
    else if (this.chunked) {
      this.#staged = 0;
      this.#frame(bytes);
      this.#flush();
    } else this.#send(bytes, 0);
  }

  onEnd(trailers?: Fields): void {
    this.#ended = true;
    if (this.#stopped) return;
    for (const name of this.withheld) trailers?.deleteSpellings(name);
    const collects = this.#staged >= 0;
    if (this.chunked) {
      if (!collects) this.#staged = 0;
      this.#stage(lastChunk(trailers));
      if (!collects) this.#flush();
    }
    if (!collects) this.#settle();
  }

  onError(error: Error): void {
    this.#ended = true;
    this.#kept = undefined;
    this.#target?.onBroken(error);
  }

  /** The target takes bytes again. */
  onDrain(): void {
    if (!this.#blocked || this.#stopped) return;
    this.#blocked = false;
    if (!this.#ended) {
      this.#target?.onUnblocked();
      this.body.resume();
    }
    this.#settle();
  }

  /** The target is gone; {@link begin} may follow. */
  detach(): void {
    this.#target = undefined;
    if (this.#started && !this.#ended) this.body.pause();
  }

  /** Sends no more, and gives up the body. */
  stop(error?: Error): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#target = undefined;
    this.#kept = undefined;
    if (!this.#ended) this.body.cancel(error);
  }

  #settle(): void {
    if (this.isComplete) this.#target?.onUploaded();
  }

  /** Collects bytes of the body with their framing. */
  #frame(bytes: Uint8Array): void {
    if (!this.chunked) {
      this.#stage(bytes);
      return;
    }
    for (let at = 0; at < bytes.length; ) {
      if (staging.length - this.#staged <= CHUNK_FRAME) this.#flushSome();
      const count = Math.min(bytes.length - at, staging.length - this.#staged - CHUNK_FRAME);
      this.#staged = writeChunkHeader(staging, this.#staged, count);
      this.#stage(count === bytes.length ? bytes : bytes.subarray(at, at + count));
      this.#stage(CRLF);
      at += count;
    }
  }

  #stage(bytes: Uint8Array): void {
    if (bytes.length > staging.length - this.#staged) this.#flushSome();
    if (bytes.length > staging.length) {
      this.#send(bytes, 0);
      return;
    }
    staging.set(bytes, this.#staged);
    this.#staged += bytes.length;
  }

  #flushSome(): void {
    this.#flush();
    this.#staged = 0;
  }

  #flush(): void {
    const bytes = staged(this.#staged);
    const head = this.#head;
    this.#staged = -1;
    this.#head = 0;
    if (bytes.length > 0) this.#send(bytes, head);
  }

  /** @param head the bytes of the request's head, which come first */
  #send(bytes: Uint8Array, head: number): void {
    if (this.#kept) this.#keep(bytes.subarray(head));
    if (!this.#target) return;
    const { connection } = this.#target;
    const taken = connection.writing ? 0 : connection.offer(bytes);
    if (taken > 0) this.#wasSent();
    if (taken < bytes.length) {
      const rest = Buffer.from(bytes.subarray(taken));
      connection.write([rest]);
      // A connection that failed takes nothing: all of it can be sent by another one.
      if (connection.writing) this.#wasSent();
      else if (!this.#sent && !this.#kept) this.#kept = [rest.subarray(head)];
    }
    if (connection.writing && !this.#blocked) {
      this.#blocked = true;
      if (!this.#ended) this.body.pause();
      this.#target.onBlocked();
    }
  }

  #wasSent(): void {
    if (!this.#sent && !this.repeats) this.#kept = undefined;
    this.#sent = true;
  }

  #keep(bytes: Uint8Array): void {
    this.#keptBytes += bytes.length;
    if (this.#keptBytes > KEPT) this.#kept = undefined;
    else this.#kept?.push(Buffer.from(bytes));
  }
}
