import { MAX_DATAGRAM, NEWLINE } from '../cutter.js';
import { Copier, SLACK } from './copier.js';
import { END_OF_SESSION, HEADER, HEARTBEAT, MESSAGE_HEADER, writeHeader } from './packet.js';
import type { PacketStore } from './store.js';

/** Bytes of a packet that are not its only message's. */
const OVERHEAD = HEADER + MESSAGE_HEADER;
/** The largest message that a datagram can carry: 65,485 bytes. */
const MAX_MESSAGE = MAX_DATAGRAM - OVERHEAD;
/** In the copier's memory: lines are put here, at most so many bytes at once, and the open packet begins behind them. */
const LINES = 64 * 1024;
const PACKET = LINES + SLACK;

/**
 * Puts messages into the packets of one session, and keeps and emits each packet when the next message does not fit,
 * or when flushed. The first message has number 1.
 *
 * Invariant: joining the messages of the packets that were emitted gives what was put in. No packet is fuller than
 * `payload` but for one that a larger message has to itself. So the smallest message takes 2 bytes and no count
 * comes near that of an end of session.
 */
export class Packer {
  readonly #copier = new Copier(PACKET + MAX_DATAGRAM + SLACK);
  /** Of the open packet, in the copier's memory: where its next message's header goes, and where it is full. */
  #at = PACKET + HEADER;
  readonly #limit: number;
  /** Messages in the open packet; and the number of its first, or of the next message while none is open. */
  #count = 0;
  #first = 1;

  /**
   * @param store at least 64 KiB
   * @param session as `sessionName` gives it
   * @param payload how full a packet is made, its headers included, in bytes, 23 to 65,507
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
    this.#limit = PACKET + payload;
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
    for (let from = offset; from < end; ) {
      const to = end - from <= LINES ? end : this.#cut(bytes, from);
      bytes.copy(this.#copier.memory, 0, from, to);
      this.#pack(to - from);
      from = to;
    }
  }

  /** Emits the packet that could be fuller. */
  flush(): void {
    if (this.#count === 0) return;
    const { store } = this;
    const { memory } = this.#copier;
    writeHeader(memory, PACKET, this.session, this.#first, this.#count);
    const length = this.#at - PACKET;
    const offset = store.keep(memory, PACKET, length);
    this.#first += this.#count;
    this.#count = 0;
    this.#at = PACKET + HEADER;
    this.emit(offset, length);
  }

  /** Emits what is open, and gives a heartbeat: a packet of 20 bytes that no store keeps. */
  heartbeat(): Buffer {
    return this.#headerAlone(HEARTBEAT);
  }

  /** Emits what is open, and gives the end of session: a packet of 20 bytes that no store keeps. */
  end(): Buffer {
    return this.#headerAlone(END_OF_SESSION);
  }

  #headerAlone(count: number): Buffer {
    this.flush();
    const packet = Buffer.alloc(HEADER);
    writeHeader(packet, 0, this.session, this.next, count);
    return packet;
  }

  /** Where more bytes than there is room for are cut: behind a line, or inside one that becomes several messages. */
  #cut(bytes: Buffer, from: number): number {
    const newline = bytes.lastIndexOf(NEWLINE, from + LINES - 1);
    const message = this.payload - OVERHEAD;
    return newline >= from ? newline + 1 : from + LINES - (LINES % message);
  }

  /** The hot path: makes messages of so many bytes of lines. */
  #pack(end: number): void {
    const copier = this.#copier;
    for (let read = 0; read < end; ) {
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
    if (alone || this.#at + MESSAGE_HEADER + length > this.#limit) this.flush();
    const { memory } = this.#copier;
    memory.writeUInt16BE(length, this.#at);
    bytes.copy(memory, this.#at + MESSAGE_HEADER, offset, offset + length);
    this.#at += MESSAGE_HEADER + length;
    this.#count++;
    if (alone) this.flush();
  }
}
