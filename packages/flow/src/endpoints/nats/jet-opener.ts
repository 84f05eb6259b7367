import { setTimeout as wait } from 'node:timers/promises';
import type { PacketSource } from '../../transport.js';
import type { Client } from './client.js';
import { CONSUMER_CREATED, CONSUMER_RESUMED, STREAM_REPLACED, STREAM_SKIPPED } from './events.js';
import type { StreamInfo } from './jet-api.js';
import { createOrdered, type Durable, openDurable } from './jet-consumer.js';
import type { JetGaps } from './jet-gaps.js';
import type { Requests } from './requests.js';

export interface JetReading {
  stream: string;
  subject: string;
  /** A durable consumer, which keeps the position; undefined: the position is known here alone. */
  durable: string | undefined;
  /** Whether to begin with the first message of the stream; else with what comes from now on. */
  fromStart: boolean;
  /** Of the address, for the user. */
  name: string;
}

/** Opens consumers of a stream: the first where reading is to begin, later ones where the last one ended. */
export class JetOpener {
  /** The name of the last one that was opened, and its state then, if it is durable. */
  consumer: string | undefined;
  durable: Durable | undefined;
  /** How it goes on where a former run ended; undefined: it does not. */
  resumed: PacketSource['resumed'];
  /** Whether it is known where to begin. */
  #isStarted = false;

  /** @param onReplaced the numbers of messages are those of another stream from now on */
  constructor(
    private readonly client: Client,
    private readonly requests: Requests,
    private readonly options: JetReading,
    private readonly gaps: JetGaps,
    private readonly onReplaced: () => void,
  ) {}

  /**
   * @param before the stream when a consumer was last opened
   * @throws as `openDurable`
   */
  async open(info: StreamInfo, before: StreamInfo | undefined): Promise<void> {
    const { gaps, requests } = this;
    const { stream, subject, durable } = this.options;
    if (!this.#isStarted) this.#start(info);
    else if (before && isReplaced(before, info, gaps.next)) this.#restart(before, info);
    if (durable === undefined) {
      gaps.beforeOrdered(info);
      this.consumer = await createOrdered(requests, stream, subject, gaps.next);
      return;
    }
    const opened = await openDurable(requests, { stream, subject, durable, first: gaps.next, info });
    this.#opened(opened, info);
    // Until then the server would send newer messages before them.
    if (opened.pending > 0) await wait(opened.waitMs, undefined, { ref: false });
  }

  #start(info: StreamInfo): void {
    this.#isStarted = true;
    this.gaps.start(this.#readsAll(info) ? info.first : info.last + 1, info);
    if (this.options.durable === undefined) this.#reportSkipped(info);
  }

  /** All that a work queue has is to be received. */
  #readsAll({ isWorkQueue }: StreamInfo): boolean {
    return this.options.fromStart || isWorkQueue;
  }

  #restart(before: StreamInfo, info: StreamInfo): void {
    const next = before.created === info.created ? info.last + 1 : info.first;
    this.gaps.start(next, info);
    this.onReplaced();
    const { name: address, stream } = this.options;
    this.client.notices.emit(STREAM_REPLACED, { address, stream, next });
  }

  #opened(durable: Durable, info: StreamInfo): void {
    const { stream, name: address, fromStart } = this.options;
    const { notices } = this.client;
    const { name, floor, number, pending, waitMs, isNew } = durable;
    const isFirst = !this.durable;
    this.consumer = name;
    this.durable = durable;
    if (isNew) {
      if (isFirst) this.#reportSkipped(info);
      notices.emit(CONSUMER_CREATED, { address, stream, durable: name });
    } else if (isFirst) {
      if (number > 0) this.resumed = { again: pending > 0 };
      this.gaps.start(floor + 1, info);
      const again = pending > 0 ? { waitMs, pending } : {};
      const ignored = fromStart ? { durable: name } : {};
      notices.emit(CONSUMER_RESUMED, { address, stream, floor, ...again, ...ignored });
    }
    this.gaps.atDurable(durable, info);
  }

  #reportSkipped(info: StreamInfo): void {
    const { name: address, stream } = this.options;
    const { messages } = info;
    if (messages > 0 && !this.#readsAll(info))
      this.client.notices.emit(STREAM_SKIPPED, { address, stream, messages });
  }
}

/** Whether a stream is another than before, or has lost its end. */
function isReplaced(before: StreamInfo, { created, last }: StreamInfo, next: number): boolean {
  return before.created !== created || last + 1 < next;
}
