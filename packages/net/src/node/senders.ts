import type { RemoteInfo } from 'node:dgram';
import type { SocketAddress } from 'mproxy-base';
import { plainAddress } from './socket.js';

/** Senders to cache; limited, as source addresses can be forged. */
const MAX_SENDERS = 1024;

/** Converts senders to endpoints, one object per cached sender. */
export class Senders {
  #last: RemoteInfo | undefined;
  #endpoint: SocketAddress = { address: '', port: 0 };
  readonly #known = new Map<string, SocketAddress>();

  of(from: RemoteInfo): SocketAddress {
    if (this.#last?.port === from.port && this.#last.address === from.address) return this.#endpoint;
    const { address, port } = from;
    const key = `${port} ${address}`;
    let endpoint = this.#known.get(key);
    if (!endpoint) {
      if (this.#known.size === MAX_SENDERS) this.#known.clear();
      endpoint = { address: plainAddress(address), port };
      this.#known.set(key, endpoint);
    }
    this.#last = from;
    this.#endpoint = endpoint;
    return endpoint;
  }
}
