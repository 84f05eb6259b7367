import type { RemoteInfo } from 'node:dgram';
import type { SocketAddress } from 'mproxy-base';
import { plainAddress } from './socket.js';

/** Senders that are remembered; anybody can make up more. */
const MOST = 1024;

/** Tells senders as endpoints, one object for each as long as it is remembered. */
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
      if (this.#known.size === MOST) this.#known.clear();
      endpoint = { address: plainAddress(address), port };
      this.#known.set(key, endpoint);
    }
    this.#last = from;
    this.#endpoint = endpoint;
    return endpoint;
  }
}
