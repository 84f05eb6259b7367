import type { Network } from './datagrams.js';
import { addressBytes } from './linux/layout.js';

/** The third word of an IPv4-mapped address (RFC 4291, 2.5.5.2), in this machine's byte order. */
export const MAPPED = new Uint32Array(Uint8Array.of(0, 0, 0xff, 0xff).buffer)[0]!;

/**
 * Senders whose datagrams are accepted. An address is four words of 32 bits, its 16 bytes in this machine's
 * byte order. IPv4 addresses are IPv4-mapped.
 */
export class Allowed {
  readonly #networks: { words: Uint32Array; mask: Uint32Array }[];
  /** The last accepted address; initially that of the first network, which is accepted too. */
  #last: Uint32Array;

  /** @param networks at least one */
  constructor(networks: readonly Network[]) {
    this.#networks = networks.map(({ address, prefix }) => {
      const bytes = mappedBytes(address);
      const bits = prefix + (address.includes(':') ? 0 : 96);
      const mask = bytes.map((_, i) => 0xff00 >> Math.min(8, Math.max(0, bits - 8 * i)));
      return { words: wordsOf(bytes.map((byte, i) => byte & mask[i]!)), mask: wordsOf(mask) };
    });
    this.#last = this.#networks[0]!.words.slice();
  }

  has(a: number, b: number, c: number, d: number): boolean {
    const last = this.#last;
    if (d === last[3] && c === last[2] && b === last[1] && a === last[0]) return true;
    const words = [a, b, c, d];
    const match = this.#networks.some((network) =>
      words.every((word, i) => (word & network.mask[i]!) >>> 0 === network.words[i]),
    );
    if (match) last.set(words);
    return match;
  }

  /** @param address without a zone */
  hasAddress(address: string): boolean {
    const [a, b, c, d] = wordsOf(mappedBytes(address));
    return this.has(a!, b!, c!, d!);
  }
}

/** The 16 bytes of an address; IPv4 is IPv4-mapped. */
function mappedBytes(address: string): Uint8Array {
  const bytes = addressBytes(address);
  return Uint8Array.from(bytes.length === 4 ? [...Array<number>(10).fill(0), 0xff, 0xff, ...bytes] : bytes);
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer);
}
