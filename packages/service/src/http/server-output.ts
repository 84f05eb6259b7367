import type { Connection } from 'mproxy-net';
import type { ServerStaging, Stager } from './server-staging.js';

/** Pieces up to so many bytes are copied, to be sent with what is before and behind them. */
const STAGED = 16 * 1024;

/** Sends what a connection is given, in as few calls as possible. */
export class ServerOutput implements Stager {
  /** @param onBlocked called when the client takes nothing at the moment */
  constructor(
    private readonly connection: Connection,
    private readonly staging: ServerStaging,
    private readonly onBlocked: () => void,
  ) {}

  /** Whether bytes wait for the client. */
  get isBlocked(): boolean {
    return this.connection.writing;
  }

  /** The staging buffer, with room for so many bytes behind its length. */
  reserve(bytes: number): ServerStaging {
    const { staging } = this;
    if (staging.isOf(this) && staging.length + bytes > staging.buffer.length) this.flush();
    staging.take(this);
    staging.reserve(bytes);
    return staging;
  }

  /** Takes borrowed bytes. Few of them wait for {@link flush}. */
  write(bytes: Uint8Array): void {
    if (bytes.length > STAGED) {
      this.flush();
      this.#send(bytes);
      return;
    }
    const staging = this.reserve(bytes.length);
    staging.buffer.set(bytes, staging.length);
    staging.length += bytes.length;
  }

  flush(): void {
    if (this.staging.isOf(this)) this.#send(this.staging.release());
  }

  /** What is not taken is copied. */
  #send(bytes: Uint8Array): void {
    const { connection } = this;
    const taken = connection.offer(bytes, true);
    if (taken < bytes.length) connection.write([Buffer.from(bytes.subarray(taken))]);
    if (connection.writing) this.onBlocked();
  }
}
