import { isIP } from 'node:net';
import type { PeerAddress } from 'mproxy-net';
import { interleave } from './race.js';
import type { LookUp, Target } from './tcp-connector.js';

/** getaddrinfo(3) does not say how long an answer is valid: it is asked again after this time, in milliseconds. */
const REFRESH_MS = 10_000;

export interface AddressesOptions {
  lookUp: LookUp;
  /** A name is resolved again after this time, in milliseconds. Default: 10,000. */
  refresh?: number;
  /** The addresses are others than before. */
  onChange?(addresses: readonly PeerAddress[]): void;
}

/** The addresses of a target. A name is resolved again and again while it is used; if that fails, the last answer stays. */
export class Addresses {
  /** Empty: the name was not resolved yet. */
  #known: readonly PeerAddress[] = [];
  /** When they are resolved again, by the clock of {@link get}; infinite: never. */
  #staleAt = Number.NEGATIVE_INFINITY;
  #lookUp: Promise<readonly PeerAddress[]> | undefined;
  readonly #closed = new AbortController();

  constructor(
    private readonly target: Target,
    private readonly options: AddressesOptions,
  ) {
    if ('path' in target) this.#known = [target];
    else if (isIP(target.host)) this.#known = [{ address: target.host, port: target.port }];
    if (this.#known.length > 0) this.#staleAt = Number.POSITIVE_INFINITY;
  }

  /** Resolves the name in the background, if it is time. @param now in milliseconds, of any clock that does not go back */
  refresh(now: number): void {
    if (now < this.#staleAt || this.#lookUp || this.#known.length === 0) return;
    // The last answer stays.
    this.#resolve(now).catch(() => undefined);
  }

  /**
   * The addresses, in the order in which they are to be tried.
   * @throws the resolver's error, if there is no answer yet
   */
  async get(now: number): Promise<readonly PeerAddress[]> {
    if (this.#known.length === 0) return this.#resolve(now);
    this.refresh(now);
    return this.#known;
  }

  /** This one works: it is tried first. */
  prefer(address: PeerAddress): void {
    if (this.#known.length < 2 || this.#known[0] === address) return;
    this.#known = [address, ...this.#known.filter((one) => one !== address)];
  }

  /** Resolves no more. */
  close(): void {
    this.#staleAt = Number.POSITIVE_INFINITY;
    this.#closed.abort();
  }

  #resolve(now: number): Promise<readonly PeerAddress[]> {
    this.#staleAt = now + (this.options.refresh ?? REFRESH_MS);
    this.#lookUp ??= this.#ask(this.target as { host: string; port: number }).finally(() => {
      this.#lookUp = undefined;
    });
    return this.#lookUp;
  }

  async #ask({ host, port }: { host: string; port: number }): Promise<readonly PeerAddress[]> {
    const ips = interleave(await this.options.lookUp(host, this.#closed.signal));
    if (ips.length === 0) throw new Error(`${host} has no address`);
    const known = new Map(this.#known.map((one) => ['address' in one ? one.address : '', one]));
    if (ips.length === known.size && ips.every((ip) => known.has(ip))) return this.#known;
    this.#known = ips.map((address) => known.get(address) ?? { address, port });
    this.options.onChange?.(this.#known);
    return this.#known;
  }
}
