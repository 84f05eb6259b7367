import { MAX_DATAGRAM, NEWLINE } from 'mproxy-framing';
import { SLACK } from './copier.js';
import { END_OF_SESSION, HEADER, HEARTBEAT, headerAlone, MESSAGE_HEADER, writeHeader } from './packet.js';
import type { PacketStore } from './store.js';

/** Bytes of a packet that are not its only message's. */
const OVERHEAD = HEADER + MESSAGE_HEADER;
/** The largest message that a datagram can carry: 65,485 bytes. */
const MAX_MESSAGE = MAX_DATAGRAM - OVERHEAD;

/**
 * Puts messages into the packets of one session, right in the store, and emits each packet when the next message does
 * not fit, or when flushed. The first message has number 1.
 *
 * Invariant: joining the messages of the packets that were emitted gives what was put in. No packet is fuller than
 * `payload` but for one that a larger message has to itself. So the smallest message takes 2 bytes and no count
 * comes near that of an end of session.
 */
export class Packer {
  /** Of the open packet, offsets in the slab: where it begins, where its next message's header goes, where it is full. */
  #start = 0;
  #at = 0;
  #limit = 0;
  /** Messages in the open packet; and the number of its first, or of the next message while none is open. */
  #count = 0;
  #first = 1;

  /**
   * @param store at least 65,539 bytes
   * @param session as `sessionName` gives it
   * @param payload maximum size of a packet, its headers included, in bytes, 23 to 65,507
   * @param emit takes each packet as a range of the store's slab, which stays until the store needs the place again
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
   * Takes one message; it may be empty. One larger than `payload` less 22 goes alone in a larger packet, one larger
   * than 65,485 bytes becomes several messages.
   */
  message(bytes: Buffer, offset: number, length: number): void {
    let from = offset;
    let left = length;
    for (; left > MAX_MESSAGE; left -= MAX_MESSAGE, from += MAX_MESSAGE) this.#put(bytes, from, MAX_MESSAGE);
    this.#put(bytes, from, left);
  }

  /**
   * Takes whole lines: each becomes a message, its newline with it. A line longer than `payload` less 22 becomes
   * several messages. What follows the last newline is a message too, so that only the last lines of an input, or a
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

  /** Emits the packet that could be fuller. */
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

  /** Emits what is open, and gives a heartbeat: a packet of 20 bytes that no store keeps. */
  heartbeat(): Buffer {
    this.flush();
    return headerAlone(this.session, this.next, HEARTBEAT);
  }

  /** Emits what is open, and gives the end of session: a packet of 20 bytes that no store keeps. */
  end(): Buffer {
    this.flush();
    return headerAlone(this.session, this.next, END_OF_SESSION);
  }

  /** Where more lines than there is room for are cut: behind one, or inside one that becomes several messages. */
  #cut(bytes: Buffer, from: number): number {
    const room = this.store.lines.length;
    const newline = bytes.lastIndexOf(NEWLINE, from + room - 1);
    const message = this.payload - OVERHEAD;
    return newline >= from ? newline + 1 : from + room - (room % message);
  }

  /** The hot path: makes messages of so many bytes of lines. */
  #pack(length: number): void {
    const { copier, linesAt } = this.store;
    const end = linesAt + length;
    for (let read = linesAt; read < end; ) {
      if (this.#at + MESSAGE_HEADER >= this.#limit) this.#open(this.payload);
      read = copier.pack(read, end, this.#at, this.#limit);
      this.#at = copier.head;
      this.#count += copier.count;
      if (read === end) break;
      // The line that is next does not fit: it goes into the next packet, or in pieces if it fits none.
      if (this.#count === 0) {
        const piece = this.payload - OVERHEAD;
        this.#put(copier.memory, read, piece);
        read += piece;
      }
      this.flush();
    }
  }

  /** Puts one message that a datagram can carry. */
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

  /** Begins a packet, after the one that is open. */
  #open(size: number): void {
    this.flush();
    this.#start = this.store.reserve(size + SLACK);
    this.#at = this.#start + HEADER;
    this.#limit = this.#start + size;
  }
}
