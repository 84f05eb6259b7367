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
    bytes.copy(this.store.slab, this.#at + MESSAGE_HEADER, offset, offset + length);
    this.#close(this.#at + MESSAGE_HEADER + length);
    if (alone) this.#emitOpen();
  }

  /** Begins a packet, after the one that is open. */
  #open(size: number): void {
    this.flush();
    this.#start = this.store.reserve(size);
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
   * @returns where the first byte lies that is left
   */
  #fill(from: number, end: number): number {
    const source = this.#source;
    const slab = this.#view;
    const limit = this.#limit;
    let head = this.#at;
    let count = 0;
    let read = from;
    // How far a byte lies in the slab from where it lies in the source: two more with each message's header.
    let shift = head + MESSAGE_HEADER - from;
    // A word at a time, while a word is left and fits. The newline that ends a line is found as it is copied.
    let last = Math.min(end, limit - shift) - WORD;
    while (read <= last) {
      const word = source.getInt32(read, true);
      slab.setInt32(read + shift, word, true);
      const differs = word ^ NEWLINES;
      // The lowest bit set is the top bit of the first byte that is zero; bits above it may be wrong.
      const zeros = (differs - 0x01010101) & ~differs & 0x80808080;
      if (zeros === 0) {
        read += WORD;
        continue;
      }
      read += (32 - Math.clz32(zeros & -zeros)) >>> 3;
      const tail = read + shift;
      slab.setUint16(head, tail - head - MESSAGE_HEADER);
      head = tail;
      shift += MESSAGE_HEADER;
      count++;
      last = Math.min(end, limit - shift) - WORD;
    }
    this.#at = head;
    this.#count += count;
    return this.#fillBytes(read, end, shift);
  }

  /** Goes on a byte at a time, for the last bytes and those before a packet's limit: see {@link #fill}. */
  #fillBytes(from: number, end: number, offset: number): number {
    let read = from;
    let shift = offset;
    for (; read < end; read++) {
      if (read + shift >= this.#limit) return this.#endPacket(read, shift);
      const byte = this.#source.getUint8(read);
      this.#view.setUint8(read + shift, byte);
      if (byte !== NEWLINE) continue;
      this.#close(read + 1 + shift);
      shift += MESSAGE_HEADER;
    }
    const tail = read + shift;
    if (tail > this.#at + MESSAGE_HEADER) this.#close(tail);
    return read;
  }

  /** The line does not fit: it begins again in the next packet, or is cut where it fills this one by itself. */
  #endPacket(read: number, shift: number): number {
    const begins = this.#at + MESSAGE_HEADER - shift;
    const cut = this.#count === 0;
    if (cut) this.#close(read + shift);
    this.#emitOpen();
    return cut ? read : begins;
  }
}
