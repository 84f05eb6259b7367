import type { Connection, ConnectionHandler } from 'mproxy-net';
import type { Dated, Deadlines } from '../deadlines.js';
import type { Body } from './body.js';
import { ResponseBody, type ResponseSource } from './client-response-body.js';
import { Upload, type UploadTarget } from './client-upload.js';

/** Looks at a tunnel, within its time-out: often enough for it to be exact. */
const LOOKS = 32;
/** How long an upstream may acknowledge nothing, in milliseconds: then it has vanished. */
const LOST_MS = 60_000;

/**
 * A connection to an upstream after a 101 (RFC 9110, section 7.8): what the client sends goes to the upstream, and what the upstream sends
 * is a body without an end of its own. Each direction ends by itself; the connection closes when both have ended.
 */
export class UpstreamTunnel implements ConnectionHandler, ResponseSource, UploadTarget, Dated {
  dueAt = 0;
  /** What the upstream sends. */
  readonly body = new ResponseBody(this, 'close');
  readonly #upload: Upload;
  #isPaused = false;
  /** The client has ended, and all of it was taken. */
  #isUploaded = false;
  /** The upstream has ended. */
  #hasEnded = false;
  #isClosed = false;
  /** Bytes that have passed until the last look, and when the time-out is over if that was all. */
  #passed = -1;
  #until = 0;

  /**
   * @param connection nothing reads it
   * @param client what the client sends
   * @param timeout without a byte in either direction, in milliseconds
   */
  constructor(
    readonly connection: Connection,
    client: Body,
    private readonly deadlines: Deadlines,
    private readonly timeout: number,
    private readonly onClosed: () => void,
  ) {
    this.#upload = new Upload(client, false);
    connection.userTimeout?.(LOST_MS);
    this.onDue();
    deadlines.add(this);
  }

  /** Bytes pass from now on, unless somebody has given it up already. */
  begin(): void {
    if (this.#isClosed) return;
    this.connection.start(this);
    this.#upload.begin(this);
  }

  onData(bytes: Buffer): void {
    this.body.offer(bytes, 0);
    this.body.read();
  }

  onEnd(): void {
    this.#hasEnded = true;
    if (this.#isUploaded) this.#close(false);
    this.body.end(undefined);
  }

  onClose(error = new Error('the upstream closed the connection')): void {
    if (!this.#isClosed) this.#cut(error, false);
  }

  onDrain(): void {
    this.#upload.onDrain();
  }

  /** Looks whether anything has passed: that costs nothing for what passes. While it is paused, the silence is not the upstream's. */
  onDue(): void {
    const { connection, timeout } = this;
    const { now } = this.deadlines;
    const passed = connection.received + connection.sent;
    if (passed !== this.#passed || this.#isPaused) {
      this.#passed = passed;
      this.#until = now + timeout;
    }
    if (this.#until <= now) this.#cut(new Error('nothing passed in either direction in time'), true);
    else this.dueAt = Math.min(this.#until, now + timeout / LOOKS);
  }

  onPause(): void {
    this.#isPaused = true;
    this.connection.pause();
  }

  onResume(): void {
    this.#isPaused = false;
    this.connection.resume();
  }

  onCancel(error: Error | undefined): void {
    this.#close(!this.#isUploaded || !this.#hasEnded, error);
  }

  /** Nothing here is framed, so that it could be invalid, or complete before its end. */
  onInvalid(): void {}
  onComplete(): void {}
  onBlocked(): void {}
  onUnblocked(): void {}

  onUploaded(): void {
    this.#isUploaded = true;
    this.connection.end();
    if (this.#hasEnded) this.#close(false);
  }

  onBroken(error: Error): void {
    this.#cut(error, true);
  }

  /** @param resets whether the upstream is to notice that it did not end by itself */
  #cut(error: Error, resets: boolean): void {
    this.#close(resets, error);
    this.body.end(error);
  }

  #close(resets: boolean, error?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.deadlines.delete(this);
    if (resets) this.connection.abort();
    else this.connection.close();
    this.onClosed();
    if (!this.#isUploaded) this.#upload.stop(error);
  }
}
