const NOTHING = Buffer.alloc(0);

/** Received bytes that are not used yet: borrowed ones during a call of the connection, copied when it returns. */
export class ServerInput {
  bytes: Uint8Array = NOTHING;
  at = 0;
  end = 0;
  /** Memory for copies. */
  #own: Buffer | undefined;

  get size(): number {
    return this.end - this.at;
  }

  /** Adds bytes, which are borrowed until {@link keep}. */
  add(bytes: Uint8Array): void {
    if (this.at < this.end) {
      this.#append(bytes);
      return;
    }
    this.bytes = bytes;
    this.at = 0;
    this.end = bytes.length;
  }

  /** Copies what is left, and lets go of what is not needed. */
  keep(): void {
    if (this.at === this.end) this.clear();
    else if (this.bytes !== this.#own) this.#append(NOTHING);
  }

  clear(): void {
    this.bytes = NOTHING;
    this.at = 0;
    this.end = 0;
    this.#own = undefined;
  }

  #append(bytes: Uint8Array): void {
    const { size } = this;
    const needed = size + bytes.length;
    if (this.bytes === this.#own && this.end + bytes.length <= this.#own.length) {
      this.#own.set(bytes, this.end);
      this.end += bytes.length;
      return;
    }
    // Twice as much, so that single bytes are not copied again and again.
    const own = Buffer.allocUnsafeSlow(2 * needed);
    own.set(this.bytes.subarray(this.at, this.end));
    own.set(bytes, size);
    this.#own = own;
    this.bytes = own;
    this.at = 0;
    this.end = needed;
  }
}
