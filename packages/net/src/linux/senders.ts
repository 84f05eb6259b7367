import type { SocketAddress } from 'mproxy-base';
import { decodeSocketAddress, NAME_SIZE } from './layout.js';

/** Senders that are remembered; anybody can make up more. */
const SLOTS_BITS = 10;
const SLOTS = 1 << SLOTS_BITS;
/** Places where one may be: so many that clash are still told apart without making an endpoint a datagram. */
const WAYS = 4;
const WORDS = NAME_SIZE / 4;
const AF_INET = 2;

/**
 * Tells socket addresses as endpoints, one object for each as long as it is remembered: a table by hash, so that
 * many senders in turn cost no allocation.
 */
export class Senders {
  readonly #names = new Uint32Array(SLOTS * WORDS);
  readonly #endpoints: (SocketAddress | undefined)[] = new Array(SLOTS).fill(undefined);
  #next = 0;

  /** @param zoneName the name of an interface's index */
  constructor(private readonly zoneName: (index: number) => string) {}

  /** Who has the socket address that begins at a word. */
  of(names: Uint32Array, at: number): SocketAddress {
    const size = meaningful(names, at);
    const first = hash(names, at, size);
    for (let way = 0; way < WAYS; way++) {
      const slot = (first + way) % SLOTS;
      const known = this.#endpoints[slot];
      if (!known) return this.#learn(slot, names, at);
      if (this.#isAt(slot, names, at, size)) return known;
    }
    this.#next = (this.#next + 1) % WAYS;
    return this.#learn((first + this.#next) % SLOTS, names, at);
  }

  #isAt(slot: number, names: Uint32Array, at: number, size: number): boolean {
    for (let i = 0; i < size; i++) if (this.#names[slot * WORDS + i] !== names[at + i]) return false;
    return true;
  }

  #learn(slot: number, names: Uint32Array, at: number): SocketAddress {
    this.#names.set(names.subarray(at, at + WORDS), slot * WORDS);
    const bytes = Buffer.from(names.buffer, names.byteOffset + 4 * at, NAME_SIZE);
    const endpoint = decodeSocketAddress(bytes, 0, this.zoneName);
    this.#endpoints[slot] = endpoint;
    return endpoint;
  }
}

/** Words that say something: family and port, then IPv4's address; what follows that is not always zero. */
function meaningful(names: Uint32Array, at: number): number {
  return (names[at]! & 0xffff) === AF_INET ? 2 : WORDS;
}

function hash(names: Uint32Array, at: number, size: number): number {
  let mixed = 0;
  for (let i = 0; i < size; i++) mixed = Math.imul((mixed ^ names[at + i]!) + (mixed >>> 15), 0x9e3779b1);
  return mixed >>> (32 - SLOTS_BITS);
}
