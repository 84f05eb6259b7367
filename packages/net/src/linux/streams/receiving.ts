import type { ConnectionHandler } from '../../streams.js';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLRDHUP } from '../loop.js';
import type { Channel } from './channel.js';
import type { StreamParts } from './parts.js';

/** Bytes that one connection receives before it is others' turn. */
const QUOTA = 128 * 1024;

/** The direction of a connection that receives. It calls `onData`, `onHangup` and `onClose` alone: whoever calls it looks at what became of it. */
export class Receiving {
  /** Bytes in all. */
  bytes = 0;
  handler: ConnectionHandler | undefined;
  /** Whether the kernel has something to tell, until EAGAIN says otherwise. */
  readable = false;
  /** The peer has ended, or something failed: it is read until that tells which. */
  hangup = false;
  paused = false;
  /** The peer's end was read, or the connection is closed. */
  ended = false;
  /** What is still received is discarded, and nothing but `onDrain` and `onClose` called. */
  discards = false;
  /** Received bytes that are delivered again. */
  #back: Buffer | undefined;
  /** The handler was told of it, see {@link ConnectionHandler.onHangup}. */
  #hangupTold = false;

  constructor(
    private readonly parts: StreamParts,
    private readonly channel: Channel,
  ) {}

  /** Whether somebody wants what comes. */
  get reads(): boolean {
    if (this.ended) return false;
    return this.discards || (this.handler !== undefined && !this.paused);
  }

  /** Whether there is something to deliver, or to read. */
  get ready(): boolean {
    return this.readable || this.#back !== undefined;
  }

  /** Whether the peer has ended, no read will tell of it soon, and somebody wants to know. */
  get hangupDue(): boolean {
    if (!this.hangup || !this.paused || this.#hangupTold || this.ended || this.discards) return false;
    return this.handler?.onHangup !== undefined;
  }

  /** Whether no read will tell of an error. */
  get deaf(): boolean {
    return this.ended || (this.paused && this.handler !== undefined);
  }

  /** What the kernel tells. */
  onEvents(events: number): void {
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) this.hangup = true;
    if (events & EPOLLIN || this.hangup) this.readable = true;
  }

  /** See {@link Connection.putBack}. */
  putBack(bytes: Uint8Array): void {
    this.handler = undefined;
    this.#back = bytes.length > 0 ? Buffer.from(bytes) : undefined;
    this.bytes -= bytes.length;
  }

  /** Tells the handler of a hang-up, if that is due. */
  tellHangup(): void {
    if (!this.hangupDue) return;
    this.#hangupTold = true;
    this.handler?.onHangup?.();
  }

  /**
   * Receives what is there.
   * @returns 0: the peer has ended; a negative errno, which may be -EAGAIN; else there may be more
   */
  go(): number {
    const { received, receivedAddress } = this.parts;
    for (let left = QUOTA; left > 0 && this.reads; ) {
      // They may be put back, and somebody else go on, within onData.
      if (this.#back) {
        left -= this.#back.length;
        this.#deliverBack(this.#back);
        continue;
      }
      if (!this.readable) break;
      const count = this.channel.receive(receivedAddress, received.length);
      if (count <= 0) {
        this.readable = false;
        return count;
      }
      left -= count;
      this.bytes += count;
      const { exact, emptied } = this.channel;
      if (!this.hangup && (exact ? count < received.length : emptied)) this.readable = false;
      if (!this.discards) this.handler?.onData(this.parts.view(count));
    }
    return 1;
  }

  #deliverBack(bytes: Buffer): void {
    this.#back = undefined;
    this.bytes += bytes.length;
    if (!this.discards) this.handler?.onData(bytes);
  }

  /** Tells the handler, and no handler again. */
  close(error: Error | undefined): void {
    const { handler } = this;
    this.handler = undefined;
    handler?.onClose(error);
  }
}
