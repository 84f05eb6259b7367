import { MAX_DATAGRAM, NEWLINE } from 'mproxy-framing';
import { SLACK } from './copier.js';
import { END_OF_SESSION, HEADER, HEARTBEAT, headerAlone, MESSAGE_HEADER, writeHeader } from './packet.js';
import type { PacketStore } from './store.js';

/** Bytes of a packet besides those of its only message. */
const OVERHEAD = HEADER + MESSAGE_HEADER;
/** The largest message that a datagram can carry: 65,485 bytes. */
export const MAX_MESSAGE = MAX_DATAGRAM - OVERHEAD;

/**
 * Packs messages into the packets of one session, directly in the store, and emits a packet when the next
 * message does not fit, or on flush. The first message has number 1.
 *
 * Invariant: the messages of the emitted packets joined are the input. No packet is larger than `payload`,
 * except one with a single larger message. A message takes at least 2 bytes: no count reaches that of an end
 * of session.
 */
export class Packer {
  /** Slab offsets of the open packet: its start, the header of its next message, and its maximum end. */
  #start = 0;
  #at = 0;
  #limit = 0;
  /** Messages in the open packet; and the number of its first or, without a packet, of the next message. */
  #count = 0;
  #first = 1;

  /**
   * @param store at least 65,539 bytes
   * @param session as returned by `sessionName`
   * @param payload maximum size of a packet, its headers included, in bytes, 23 to 65,507
   * @param emit takes each packet as a range of the store's slab, valid until the store reuses it
   */
  constructor(
    private readonly store: PacketStore,
    private readonly session: string,
    private readonly payload: number,
    private readonly emit: (offset: number, length: number) => void,
  ) {
    if (!(payload > OVERHEAD && payload <= MAX_DATAGRAM))
      throw new RangeError(`a payload of ${payload} bytes`);
  }

  /** The sequence number of the next message. */
  get next(): number {
    return this.#first + this.#count;
  }

  /**
   * Takes one message, which may be empty. One larger than `payload` less 22 is sent alone in a larger
   * packet; one larger than 65,485 bytes becomes several messages.
   */
  message(bytes: Buffer, offset: number, length: number): void {
    let from = offset;
    let left = length;
    for (; left > MAX_MESSAGE; left -= MAX_MESSAGE, from += MAX_MESSAGE) this.#put(bytes, from, MAX_MESSAGE);
    this.#put(bytes, from, left);
  }

  /**
   * Takes whole lines: each becomes a message, with its newline. A line longer than `payload` less 22 becomes
   * several messages. Bytes after the last newline are a message too: only the last lines of an input, or a
   * multiple of `payload` less 22 bytes of a long one, may end without a newline.
   */
  lines(bytes: Buffer, offset: number, length: number): void {
    const end = offset + length;
    const { lines } = this.store;
    for (let from = offset; from < end; ) {
      const to = end - from <= lines.length ? end : this.#cut(bytes, from);
      bytes.copy(lines, 0, from, to);
      this.#pack(to - from);
      from = to;
    }
  }

  /** Emits the open packet. */
  flush(): void {
    if (this.#count === 0) return;
    const { store } = this;
    const offset = this.#start;
    const length = this.#at - offset;
    writeHeader(store.slab, offset, this.session, this.#first, this.#count);
    store.commit(length);
    this.#first += this.#count;
    this.#count = this.#at = this.#limit = 0;
    this.emit(offset, length);
  }

  /** Emits the open packet, and returns a heartbeat: a packet of 20 bytes that is not stored. */
  heartbeat(): Buffer {
    this.flush();
    return headerAlone(this.session, this.next, HEARTBEAT);
  }

  /** Emits the open packet, and returns the end of session: a packet of 20 bytes that is not stored. */
  end(): Buffer {
    this.flush();
    return headerAlone(this.session, this.next, END_OF_SESSION);
  }

  /** Where to split lines beyond the buffer size: after a line, or inside one of several messages. */
  #cut(bytes: Buffer, from: number): number {
    const room = this.store.lines.length;
    const newline = bytes.lastIndexOf(NEWLINE, from + room - 1);
    const message = this.payload - OVERHEAD;
    return newline >= from ? newline + 1 : from + room - (room % message);
  }

  /** The hot path: packs this many bytes of lines into messages. */
  #pack(length: number): void {
    const { copier, linesAt } = this.store;
    const end = linesAt + length;
    for (let read = linesAt; read < end; ) {
      if (this.#at + MESSAGE_HEADER >= this.#limit) this.#open(this.payload);
      read = copier.pack(read, end, this.#at, this.#limit);
      this.#at = copier.head;
      this.#count += copier.count;
      if (read === end) break;
      // The next line does not fit: it goes into the next packet, or in pieces if it fits none.
      if (this.#count === 0) {
        const piece = this.payload - OVERHEAD;
        this.#put(copier.memory, read, piece);
        read += piece;
      }
      this.flush();
    }
  }

  /** Puts one message that fits a datagram. */
  #put(bytes: Buffer, offset: number, length: number): void {
    const alone = length > this.payload - OVERHEAD;
    if (alone || this.#at + MESSAGE_HEADER + length > this.#limit)
      this.#open(Math.max(this.payload, OVERHEAD + length));
    const { slab } = this.store;
    slab.writeUInt16BE(length, this.#at);
    bytes.copy(slab, this.#at + MESSAGE_HEADER, offset, offset + length);
    this.#at += MESSAGE_HEADER + length;
    this.#count++;
    if (alone) this.flush();
  }

  /** Emits the open packet and begins another. */
  #open(size: number): void {
    this.flush();
    this.#start = this.store.reserve(size + SLACK);
    this.#at = this.#start + HEADER;
    this.#limit = this.#start + size;
  }
}
