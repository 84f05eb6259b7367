import type { SocketAddress } from 'mproxy-base';
import type { SendCounts } from '../datagrams.js';
import type { SharedCounts } from './counts.js';
import { errorName } from './errno.js';

/** Limit of addresses counted separately: requests may arrive from any number of addresses. */
const MAX_KEYS = 64;

/** Counts the errors returned for one socket's datagrams, by errno and address; used on the event loop. */
export class Returns {
  readonly counts: Record<string, number> = {};
  /** The last error added, cached: the next one is usually the same. */
  #last: { errno: number; to: SocketAddress | undefined; key: string } = { errno: 0, to: undefined, key: '' };
  readonly #seen = new Map<number, number>();

  add(errno: number, to: SocketAddress, count = 1): void {
    if (errno !== this.#last.errno || to !== this.#last.to)
      this.#last = { errno, to, key: this.#key(errno, to) };
    const { key } = this.#last;
    this.counts[key] = (this.counts[key] ?? 0) + count;
  }

  #key(errno: number, { address, port }: SocketAddress): string {
    const name = errorName(errno);
    const key = `${name} ${address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`}`;
    const known = Object.hasOwn(this.counts, key) || Object.keys(this.counts).length < MAX_KEYS;
    return known ? key : `${name} others`;
  }

  /** Adds these errors to the counts of a socket. */
  into(counts: SendCounts): SendCounts {
    counts.returned = { ...this.counts };
    for (const [key, count] of Object.entries(counts.returned)) {
      const name = key.replace(/ .*/, '');
      counts.errors[name] = (counts.errors[name] ?? 0) + count;
    }
    return counts;
  }

  /** Adds the errors that a sending thread counted since the last call, all for one address. */
  collect(shared: SharedCounts, to: SocketAddress): void {
    for (const [errno, count] of shared.returns()) {
      const added = count - (this.#seen.get(errno) ?? 0);
      if (added > 0) this.add(errno, to, added);
      this.#seen.set(errno, count);
    }
  }
}
