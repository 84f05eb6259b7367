import { Batch } from 'mproxy-framing';
import { Copier, SLACK } from 'mproxy-mold';
import type { Deliver } from 'mproxy-net';
import { takeMemory } from './memory.js';

/** Messages gathered at most, in bytes with their lengths, and their number: a packet's always fit. */
const ROOM = 256 * 1024;
const MOST = 65_536;
/** In the copier's memory: the messages begin it, then come their lengths, and what a packet holds is put behind these. */
const SIZES = ROOM + SLACK;
const PACKET = SIZES + MOST * Uint16Array.BYTES_PER_ELEMENT;
const LARGEST = 64 * 1024;
const WORD = 8;
/** Bytes that are worth a system call, and still lie in the processor's cache. */
const ENOUGH = 128 * 1024;

/** Takes messages out of packets, and delivers many at once, one behind the other, without the lengths before them. */
export class Messages {
  deliver: Deliver = () => undefined;
  readonly #batch = new Batch();
  readonly #copier = takeMemory('receiving', () => new Copier(PACKET + WORD + LARGEST + SLACK));
  readonly #sizes = new Uint16Array(this.#copier.memory.buffer, SIZES, MOST);
  #bytes = 0;
  #count = 0;
  #idle: NodeJS.Immediate | undefined;

  constructor() {
    this.#batch.lent = true;
  }

  /** Takes so many messages that lie in a packet one behind the other, each with its length before it. */
  add(packet: Buffer, offset: number, length: number, count: number): void {
    if (this.#bytes + length > ROOM || this.#count + count > MOST) this.pass();
    // V8 copies memory that threads share word by word, if both sides lie alike in a word; else byte by byte.
    const at = PACKET + ((packet.byteOffset + offset) % WORD);
    packet.copy(this.#copier.memory, at, offset, offset + length);
    this.#bytes = this.#copier.strip(at, count, this.#bytes, SIZES + 2 * this.#count);
    this.#count += count;
  }

  /** Delivers what was gathered if that is much; else when the event loop has read for a turn. */
  passSoon(): void {
    if (this.#bytes >= ENOUGH) this.pass();
    else if (this.#count > 0) this.#idle ??= setImmediate(this.#whenIdle);
  }

  readonly #whenIdle = (): void => {
    this.#idle = undefined;
    this.pass();
  };

  /** Delivers what was gathered. */
  pass(): void {
    const bytes = this.#bytes;
    const count = this.#count;
    this.#bytes = this.#count = 0;
    if (count === 0) return;
    this.#batch.reset(this.#copier.memory);
    this.#batch.setSized(0, bytes, this.#sizes, count);
    this.deliver(this.#batch);
  }
}
