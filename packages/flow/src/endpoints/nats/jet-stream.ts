import { setTimeout as wait } from 'node:timers/promises';
import { reason, throwInternal } from 'mproxy-base';
import { Backoff } from 'mproxy-net';
import type { Client } from './client.js';
import { STREAM_UNUSABLE } from './events.js';
import { JetError, notCovered, type StreamInfo, streamInfo } from './jet-api.js';
import type { Requests } from './requests.js';
import type { ServerConnection } from './server-connection.js';
import { matches } from './subject.js';

export interface StreamUse {
  stream: string;
  subject: string;
  /** Of the address, for the user. */
  name: string;
  action: 'receiving' | 'sending';
}

/** A stream of a server, which is looked at after every connect. */
export class JetStream {
  /** Its state as it was last seen. */
  info: StreamInfo | undefined;
  /** Why it cannot be used by the present connection. */
  unusable: string | undefined;
  readonly #backoff = new Backoff();

  constructor(
    private readonly client: Client,
    readonly requests: Requests,
    private readonly use: StreamUse,
  ) {}

  /**
   * Prepares the use of the stream by a connection, again and again until that succeeds or the connection ends.
   * @param prepare what is to be done when the stream is there; undefined: nothing
   * @returns whether it succeeded
   * @throws JetError the first time, where another attempt would have the same result
   */
  async prepare(
    connection: ServerConnection,
    prepare?: (info: StreamInfo) => Promise<void>,
  ): Promise<boolean> {
    const isThere = () => this.client.connection === connection;
    while (isThere()) {
      try {
        const info = await this.#look();
        await prepare?.(info);
        if (!isThere()) return false;
        this.info = info;
        this.unusable = undefined;
        this.#backoff.delivered();
        return true;
      } catch (error) {
        throwInternal(error);
        if (!isThere()) return false;
        if (error instanceof JetError && error.isFinal && !this.info) throw error;
        const { action, name: address, stream } = this.use;
        const why = reason(error);
        this.unusable = `stream ${stream}: ${why}`;
        const retryMs = this.#backoff.next();
        this.client.notices.emit(STREAM_UNUSABLE, { action, address, stream, reason: why, retryMs });
        await Promise.race([connection.closed, wait(retryMs, undefined, { ref: false })]);
      }
    }
    return false;
  }

  /** @throws JetError; without an answer, Error */
  async #look(): Promise<StreamInfo> {
    const { stream, subject, action } = this.use;
    const info = await streamInfo(this.requests, stream, subject);
    const { subjects } = info;
    if (action === 'sending' && !info.acknowledges)
      throw new JetError(
        `stream ${stream} acknowledges nothing (no_ack), and whether it stores a message would stay unknown; create it without`,
        true,
      );
    // A stream that copies another one has its subjects: the server checks the filter.
    const isCopy = action === 'receiving' && subjects.length === 0;
    if (isCopy || subjects.some((pattern) => matches(pattern, subject))) return info;
    throw notCovered(stream, subjects, subject);
  }
}
