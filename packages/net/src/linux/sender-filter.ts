import { Allowed, MAPPED } from '../allowed.js';
import type { Network, OwnSender } from '../datagrams.js';
import { AF_INET, addressBytes, decodeAddress } from './layout.js';

/** Which senders' datagrams a receiver takes. */
export class SenderFilter {
  /** Whether there is anything to ask {@link ignores} and {@link allows}. */
  readonly filters: boolean;
  readonly #ignored: { port: number; addresses: Buffer[] }[];
  readonly #allowed: Allowed | undefined;

  /** @param allow if given, no other senders are allowed */
  constructor(ignored: OwnSender[] = [], allow?: Network[]) {
    this.#ignored = ignored.map(({ port, addresses }) => ({ port, addresses: addresses.map(addressBytes) }));
    if (allow) this.#allowed = new Allowed(allow);
    this.filters = ignored.length > 0 || allow !== undefined;
  }

  /** Whether the socket address at byte `at` is one of this process. */
  ignores(bytes: Buffer, at: number): boolean {
    if (this.#ignored.length === 0) return false;
    const { port, address } = decodeAddress(bytes, at);
    return this.#ignored.some((own) => own.port === port && own.addresses.some((one) => one.equals(address)));
  }

  /** Reads the struct sockaddr_in (its address is the second word) or sockaddr_in6 (the third) at word `at`. */
  allows(words: Uint32Array, at: number): boolean {
    if (!this.#allowed) return true;
    if ((words[at]! & 0xffff) === AF_INET) return this.#allowed.has(0, 0, MAPPED, words[at + 1]!);
    return this.#allowed.has(words[at + 2]!, words[at + 3]!, words[at + 4]!, words[at + 5]!);
  }
}
