import { MESSAGE_HEADER } from 'mproxy-framing';
import { Batch, type Deliver } from 'mproxy-udp';

/** Messages gathered at most, in bytes, and their number: a packet's always fit. */
const ROOM = 256 * 1024;
const MOST = 65_536;
/** What a copy a word at a time writes too much. */
const WORD = 4;

/** Takes messages out of packets, and delivers many at once, one behind the other, without the lengths before them. */
export class Messages {
  deliver: Deliver = () => undefined;
  readonly #batch = new Batch();
  readonly #room = Buffer.allocUnsafeSlow(ROOM + WORD);
  readonly #to = new DataView(this.#room.buffer, this.#room.byteOffset, this.#room.length);
  #from: { bytes: Buffer; view: DataView } = {
    bytes: Buffer.alloc(0),
    view: new DataView(new ArrayBuffer(0)),
  };
  readonly #sizes = new Uint16Array(MOST);
  #bytes = 0;
  #count = 0;

  constructor() {
    this.#batch.lent = true;
  }

  /** Takes so many messages that lie in a packet one behind the other, each with its length before it. */
  add(packet: Buffer, offset: number, length: number, count: number): void {
    if (this.#bytes + length > ROOM || this.#count + count > MOST) this.pass();
    if (this.#from.bytes !== packet) {
      this.#from = { bytes: packet, view: new DataView(packet.buffer, packet.byteOffset, packet.length) };
    }
    const from = this.#from.view;
    const room = this.#to;
    const end = offset + length;
    let to = this.#bytes;
    for (let i = 0, at = offset; i < count; i++) {
      const size = from.getUint16(at);
      at += MESSAGE_HEADER;
      // A word at a time: for a line that is quicker than any call. What is copied too much is written again.
      const most = Math.min(size, end - at - WORD + 1);
      let done = 0;
      for (; done < most; done += WORD) room.setInt32(to + done, from.getInt32(at + done, true), true);
      for (; done < size; done++) room.setUint8(to + done, from.getUint8(at + done));
      this.#sizes[this.#count++] = size;
      to += size;
      at += size;
    }
    this.#bytes = to;
  }

  /** Delivers what was gathered. */
  pass(): void {
    const bytes = this.#bytes;
    const count = this.#count;
    this.#bytes = this.#count = 0;
    if (count === 0) return;
    this.#batch.reset(this.#room);
    this.#batch.setSized(0, bytes, this.#sizes, count);
    this.deliver(this.#batch);
  }
}
