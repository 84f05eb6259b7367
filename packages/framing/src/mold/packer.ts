import { MAX_DATAGRAM, NEWLINE } from '../cutter.js';
import { END_OF_SESSION, HEADER, HEARTBEAT, MESSAGE_HEADER, writeHeader } from './packet.js';
import type { PacketStore } from './store.js';

/** Bytes of a packet that are not its only message's. */
const OVERHEAD = HEADER + MESSAGE_HEADER;
/** The largest message that a datagram can carry: 65,485 bytes. */
const MAX_MESSAGE = MAX_DATAGRAM - OVERHEAD;
/** A newline in each byte of a word. */
const NEWLINES = 0x0a0a0a0a;
const WORD = 4;
const MOST_BY_WORDS = 256;

/**
 * Puts messages into the packets of one session, right in the store, and emits each packet when the next message does
 * not fit, or when flushed. The first message has number 1.
 *
 * Invariant: joining the messages of the packets that were emitted gives what was put in. No packet is fuller than
 * `payload` but for one that a larger message has to itself. So the smallest message takes 2 bytes and no count
 * comes near that of an end of session.
 */
export class Packer {
  readonly #view: DataView;
  /** Of the open packet, offsets in the slab: where it begins, where its next message's header goes, where it is full. */
  #start = 0;
  #at = 0;
  #limit = 0;
  /** Messages in the open packet; and the number of its first, or of the next message while none is open. */
  #count = 0;
  #first = 1;
  /** The bytes that {@link lines} reads, as words: made again only for other memory. */
  #source: DataView = new DataView(new ArrayBuffer(0));

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
    const { buffer, byteOffset, byteLength } = store.slab;
    this.#view = new DataView(buffer, byteOffset, byteLength);
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
    if (bytes.buffer !== this.#source.buffer) this.#source = new DataView(bytes.buffer);
    let from = bytes.byteOffset + offset;
    const end = from + length;
    while (from < end) {
      if (this.#at + MESSAGE_HEADER >= this.#limit) this.#open(this.payload);
      from = this.#fill(from, end);
    }
  }

  /** Emits the packet that could be fuller. */
  flush(): void {
    if (this.#count > 0) this.#emitOpen();
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

  /** Puts one message that a datagram can carry. */
  #put(bytes: Buffer, offset: number, length: number): void {
    const alone = length > this.payload - OVERHEAD;
    if (alone || this.#at + MESSAGE_HEADER + length > this.#limit)
      this.#open(Math.max(this.payload, OVERHEAD + length));
    this.#copy(bytes, offset, length);
    this.#close(this.#at + MESSAGE_HEADER + length);
    if (alone) this.#emitOpen();
  }

  /** Copies a message to where it goes: a short one a word at a time, which is quicker than a call. */
  #copy(bytes: Buffer, offset: number, length: number): void {
    const to = this.#at + MESSAGE_HEADER;
    if (length > MOST_BY_WORDS) {
      bytes.copy(this.store.slab, to, offset, offset + length);
      return;
    }
    if (bytes.buffer !== this.#source.buffer) this.#source = new DataView(bytes.buffer);
    const from = bytes.byteOffset + offset;
    let done = 0;
    for (; done + WORD <= length; done += WORD)
      this.#view.setInt32(to + done, this.#source.getInt32(from + done, true), true);
    for (; done < length; done++) this.#view.setUint8(to + done, this.#source.getUint8(from + done));
  }

  /** Begins a packet, after the one that is open. */
  #open(size: number): void {
    this.flush();
    this.#start = this.store.reserve(size + WORD);
    this.#at = this.#start + HEADER;
    this.#limit = this.#start + size;
  }

  /** The message that goes to `#at` ends here. */
  #close(end: number): void {
    this.#view.setUint16(this.#at, end - this.#at - MESSAGE_HEADER);
    this.#at = end;
    this.#count++;
  }

  #emitOpen(): void {
    const { store } = this;
    const offset = this.#start;
    const length = this.#at - offset;
    writeHeader(store.slab, offset, this.session, this.#first, this.#count);
    store.commit(length);
    this.#first += this.#count;
    this.#count = 0;
    this.#at = this.#limit = 0;
    this.emit(offset, length);
  }

  /**
   * Fills the open packet with lines until one does not fit, which is left for the next packet, or the bytes end. A
   * line that does not fit an empty packet is cut.
   *
   * A word at a time: the newline that ends a line is found as it is copied. So up to a word too much may be written
   * beyond the line, or beyond `#limit`.
   * @returns where the first byte lies that is left
   */
  #fill(from: number, end: number): number {
    const source = this.#source;
    const slab = this.#view;
    const limit = this.#limit;
    let head = this.#at;
    let count = 0;
    let read = from;
    let write = head + MESSAGE_HEADER;
    for (;;) {
      const stop = Math.min(end - WORD, read + limit - write - 1);
      let zeros = 0;
      while (read <= stop) {
        const word = source.getInt32(read, true);
        slab.setInt32(write, word, true);
        const differs = word ^ NEWLINES;
        // The lowest bit set is the top bit of the first byte that is zero; bits above it may be wrong.
        zeros = (differs - 0x01010101) & ~differs & 0x80808080;
        if (zeros !== 0) break;
        read += WORD;
        write += WORD;
      }
      if (zeros === 0) break;
      const step = (32 - Math.clz32(zeros & -zeros)) >>> 3;
      read += step;
      write += step;
      if (write > limit) break;
      slab.setUint16(head, write - head - MESSAGE_HEADER);
      head = write;
      write += MESSAGE_HEADER;
      count++;
    }
    this.#at = head;
    this.#count += count;
    return write > limit ? this.#endPacket(read, write) : this.#fillBytes(read, end, write);
  }

  /** Goes on where {@link #fill} stopped, a byte at a time: there are few, or little room. */
  #fillBytes(from: number, end: number, to: number): number {
    let write = to;
    for (let read = from; read < end; read++) {
      if (write >= this.#limit) return this.#endPacket(read, write);
      const byte = this.#source.getUint8(read);
      this.#view.setUint8(write++, byte);
      if (byte !== NEWLINE) continue;
      this.#close(write);
      write += MESSAGE_HEADER;
    }
    if (write > this.#at + MESSAGE_HEADER) this.#close(write);
    return end;
  }

  /**
   * The line does not fit: it begins again in the next packet, or is cut where it fills this one by itself.
   * @returns where the next message begins
   */
  #endPacket(read: number, write: number): number {
    const cut = this.#count === 0;
    const copied = write - (cut ? this.#limit : this.#at + MESSAGE_HEADER);
    if (cut) this.#close(this.#limit);
    this.#emitOpen();
    return read - copied;
  }
}
