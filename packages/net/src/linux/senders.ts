import type { SocketAddress } from 'mproxy-base';
import { AF_INET, decodeSocketAddress, NAME_SIZE } from './layout.js';

/** Senders to cache; limited, as source addresses can be forged. */
const SLOTS_BITS = 10;
const SLOTS = 1 << SLOTS_BITS;
/** Slots per hash: this many colliding senders still cost no allocation per datagram. */
const WAYS = 4;
const WORDS = NAME_SIZE / 4;

/**
 * Decodes socket addresses, one object per cached address. A hash table, so that datagrams of many senders in
 * turn cost no allocation.
 */
export class Senders {
  readonly #names = new Uint32Array(SLOTS * WORDS);
  readonly #endpoints: (SocketAddress | undefined)[] = new Array(SLOTS).fill(undefined);
  #next = 0;

  /** @param zoneName returns the name of the interface with an index */
  constructor(private readonly zoneName: (index: number) => string) {}

  /** The endpoint of the socket address at word `at`. */
  of(names: Uint32Array, at: number): SocketAddress {
    const size = significantWords(names, at);
    const first = hash(names, at, size);
    for (let way = 0; way < WAYS; way++) {
      const slot = (first + way) % SLOTS;
      const known = this.#endpoints[slot];
      if (!known) return this.#store(slot, names, at);
      if (this.#isAt(slot, names, at, size)) return known;
    }
    this.#next = (this.#next + 1) % WAYS;
    return this.#store((first + this.#next) % SLOTS, names, at);
  }

  #isAt(slot: number, names: Uint32Array, at: number, size: number): boolean {
    for (let i = 0; i < size; i++) if (this.#names[slot * WORDS + i] !== names[at + i]) return false;
    return true;
  }

  #store(slot: number, names: Uint32Array, at: number): SocketAddress {
    this.#names.set(names.subarray(at, at + WORDS), slot * WORDS);
    const bytes = Buffer.from(names.buffer, names.byteOffset + 4 * at, NAME_SIZE);
    const endpoint = decodeSocketAddress(bytes, 0, this.zoneName);
    this.#endpoints[slot] = endpoint;
    return endpoint;
  }
}

/** Words that identify an address. The bytes after an IPv4 address are not always zero. */
function significantWords(names: Uint32Array, at: number): number {
  return (names[at]! & 0xffff) === AF_INET ? 2 : WORDS;
}

function hash(names: Uint32Array, at: number, size: number): number {
  let mixed = 0;
  for (let i = 0; i < size; i++) mixed = Math.imul((mixed ^ names[at + i]!) + (mixed >>> 15), 0x9e3779b1);
  return mixed >>> (32 - SLOTS_BITS);
}
