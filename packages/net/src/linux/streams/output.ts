import type { Channel } from './channel.js';
import type { StreamParts } from './parts.js';

const NOTHING = new Uint8Array(0);

/** Bytes to send, by reference, that the kernel has not taken yet. */
export class Output {
  #bytes: Uint8Array[] = [];
  /** Those before it are sent, and of it the bytes before the offset. */
  #first = 0;
  #offset = 0;
  /** Bytes that are not sent. */
  left = 0;

  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#bytes.push(bytes);
    this.left += bytes.length;
  }

  clear(): void {
    this.#bytes = [];
    this.#first = 0;
    this.#offset = 0;
    this.left = 0;
  }

  /**
   * Sends by one call of the channel.
   * @returns what the channel returns; {@link StreamParts.vectors} holds what it was given
   */
  send(channel: Channel, parts: StreamParts): number {
    const { vectors, stagingAddress } = parts;
    // TLS must be given again what it could not send, or more (SSL_write(3)): more buffers than vectors are never staged.
    const stages = this.left <= parts.staging.length && this.#bytes.length - this.#first <= vectors.capacity;
    vectors.clear();
    if (stages) this.#stage(parts);
    else this.#collect(parts);
    const taken = stages
      ? channel.sendOne(stagingAddress, vectors.bytes)
      : channel.send(vectors.address, vectors.count);
    if (taken > 0) this.#advance(taken);
    return taken;
  }

  /** Copies few bytes: that costs less than to learn their address. */
  #stage({ staging, stagingAddress, vectors }: StreamParts): void {
    let at = 0;
    for (let i = this.#first; i < this.#bytes.length; i++) {
      const bytes =
        i === this.#first && this.#offset > 0 ? this.#bytes[i]!.subarray(this.#offset) : this.#bytes[i]!;
      staging.set(bytes, at);
      at += bytes.length;
    }
    vectors.add(stagingAddress, at);
  }

  #collect(parts: StreamParts): void {
    const { vectors } = parts;
    const end = Math.min(this.#bytes.length, this.#first + vectors.capacity);
    let skip = this.#offset;
    for (let i = this.#first; i < end; i++) {
      const bytes = this.#bytes[i]!;
      vectors.add(parts.addressOf(bytes) + skip, bytes.length - skip);
      skip = 0;
    }
  }

  #advance(taken: number): void {
    this.left -= taken;
    if (this.left === 0) {
      this.#bytes.length = 0;
      this.#first = 0;
      this.#offset = 0;
      return;
    }
    let left = this.#offset + taken;
    for (let next = this.#bytes[this.#first]!; left >= next.length; next = this.#bytes[this.#first]!) {
      left -= next.length;
      // What was taken is not kept.
      this.#bytes[this.#first++] = NOTHING;
    }
    this.#offset = left;
    // To cut the list each time costs too much.
    if (this.#first < 1024) return;
    this.#bytes.splice(0, this.#first);
    this.#first = 0;
  }
}
