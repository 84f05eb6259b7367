import { Prefixes } from 'mproxy-base';

/** Who collects bytes in the staging buffer, to send them together. */
export interface Stager {
  /** Sends them. */
  flush(): void;
}

const SIZE = 64 * 1024;

/** A buffer in which the connections of a thread, one at a time, collect what they send together. */
export class ServerStaging {
  length = 0;
  #owner: Stager | undefined;
  #views = new Prefixes(Buffer.allocUnsafeSlow(SIZE));

  get buffer(): Buffer {
    return this.#views.buffer;
  }

  /** Whether bytes in it are of this one. */
  isOf(one: Stager): boolean {
    return this.#owner === one;
  }

  /** Before bytes are added: another one sends its bytes first. */
  take(one: Stager): void {
    if (this.#owner === one) return;
    this.#owner?.flush();
    this.#owner = one;
  }

  /** Grows, while it is empty, so that so many bytes fit. */
  reserve(bytes: number): void {
    if (bytes <= this.buffer.length) return;
    this.#views = new Prefixes(Buffer.allocUnsafeSlow(2 * bytes));
  }

  /** The bytes in it, which leave it: valid until others are added. */
  release(): Buffer {
    const view = this.#views.of(this.length);
    this.length = 0;
    this.#owner = undefined;
    return view;
  }
}
