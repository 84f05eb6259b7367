import type { SocketAddress } from 'mproxy-base';
import type { SendCounts } from '../datagrams.js';
import type { SharedCounts } from './counts.js';
import { errorName } from './errno.js';

/** Addresses that are told apart; a sender that answers requests may be asked from any number of them. */
const MOST = 64;

/** Counts what the network returned for the datagrams of one socket, by errno and address; of the event loop. */
export class Returns {
  readonly counts: Record<string, number> = {};
  /** The last that was added: as a rule the next is like it. */
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
    const known = Object.hasOwn(this.counts, key) || Object.keys(this.counts).length < MOST;
    return known ? key : `${name} others`;
  }

  /** Adds them to what became of the sends. */
  into(counts: SendCounts): SendCounts {
    counts.returned = { ...this.counts };
    for (const [key, count] of Object.entries(counts.returned)) {
      const name = key.replace(/ .*/, '');
      counts.errors[name] = (counts.errors[name] ?? 0) + count;
    }
    return counts;
  }

  /** Adds what the thread that sends counted since the last call, all of it for one address. */
  collect(shared: SharedCounts, to: SocketAddress): void {
    for (const [errno, count] of shared.returns()) {
      const news = count - (this.#seen.get(errno) ?? 0);
      if (news > 0) this.add(errno, to, news);
      this.#seen.set(errno, count);
    }
  }
}
