/** Who collects bytes in the staging buffer, to send them together. */
export interface Stager {
  /** Sends them. */
  flush(): void;
}

const SIZE = 64 * 1024;

/** A buffer in which the connections of a thread, one at a time, collect what they send together. */
export class ServerStaging {
  buffer: Buffer = Buffer.allocUnsafeSlow(SIZE);
  length = 0;
  #owner: Stager | undefined;
  #view: Buffer = this.buffer;

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
    this.buffer = Buffer.allocUnsafeSlow(2 * bytes);
    this.#view = this.buffer;
  }

  /** The bytes in it, which leave it: valid until others are added. The last view is kept: messages of one length are usual. */
  release(): Buffer {
    if (this.#view.length !== this.length) this.#view = this.buffer.subarray(0, this.length);
    this.length = 0;
    this.#owner = undefined;
    return this.#view;
  }
}
