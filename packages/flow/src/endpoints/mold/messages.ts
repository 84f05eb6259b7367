import { Batch } from 'mproxy-framing';
import { Copier, SLACK } from 'mproxy-mold';
import type { Deliver } from 'mproxy-net';
import { takeMemory } from './memory.js';

/** Limits on gathered messages: bytes, their length fields included, and number. A packet always fits. */
const MAX_BYTES = 256 * 1024;
const MAX_MESSAGES = 65_536;
/** Layout of the copier's memory: the messages, their lengths, then the current packet. */
const SIZES_AT = MAX_BYTES + SLACK;
const PACKET_AT = SIZES_AT + MAX_MESSAGES * Uint16Array.BYTES_PER_ELEMENT;
const MAX_PACKET = 64 * 1024;
const WORD = 8;
/** Bytes that are worth a system call and still fit the processor's cache. */
const DELIVER_BYTES = 128 * 1024;

/** Extracts messages from packets, and delivers many at once, contiguous and without length fields. */
export class Messages {
  deliver: Deliver = () => undefined;
  readonly #batch = new Batch();
  readonly #copier = takeMemory('receiving', () => new Copier(PACKET_AT + WORD + MAX_PACKET + SLACK));
  readonly #sizes = new Uint16Array(this.#copier.memory.buffer, SIZES_AT, MAX_MESSAGES);
  #bytes = 0;
  #count = 0;
  #passTimer: NodeJS.Immediate | undefined;

  constructor() {
    this.#batch.lent = true;
  }

  /** Takes `count` contiguous messages of a packet, each preceded by its length. */
  add(packet: Buffer, offset: number, length: number, count: number): void {
    if (this.#bytes + length > MAX_BYTES || this.#count + count > MAX_MESSAGES) this.pass();
    // V8 copies shared memory by word if source and target are aligned alike, else by byte.
    const at = PACKET_AT + ((packet.byteOffset + offset) % WORD);
    packet.copy(this.#copier.memory, at, offset, offset + length);
    this.#bytes = this.#copier.strip(at, count, this.#bytes, SIZES_AT + 2 * this.#count);
    this.#count += count;
  }

  /** Delivers the gathered messages if there is much, else after the event loop's current reads. */
  passSoon(): void {
    if (this.#bytes >= DELIVER_BYTES) this.pass();
    else if (this.#count > 0) this.#passTimer ??= setImmediate(this.#whenIdle);
  }

  readonly #whenIdle = (): void => {
    this.#passTimer = undefined;
    this.pass();
  };

  /** Delivers the gathered messages. @returns what the sinks return: undefined while they have room */
  pass(): Promise<void> | undefined {
    const bytes = this.#bytes;
    const count = this.#count;
    this.#bytes = this.#count = 0;
    if (count === 0) return undefined;
    this.#batch.reset(this.#copier.memory);
    this.#batch.setSized(0, bytes, this.#sizes, count);
    return this.deliver(this.#batch);
  }
}
