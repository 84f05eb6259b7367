import { IOVEC, MMSGHDR } from 'mproxy-net/linux/layout';
import type { Libc } from 'mproxy-net/linux/libc';

/** What a faked system call answers: how many it took, or the errno that it fails with. */
export type Answer = number | { errno: number };

/** A C library that gives buffers addresses of its own, and reads what is written there. */
export class FakeLibc {
  readonly #places = new Map<Buffer, bigint>();
  #next = 0x7000_0000_0000n;
  #errno = 0;
  /** Takes some bytes; answers how many. */
  onWrite: (bytes: Buffer) => Answer = (bytes) => bytes.length;
  /** Takes some datagrams; answers how many. */
  onSend: (datagrams: Buffer[]) => Answer = (datagrams) => datagrams.length;

  get libc(): Libc {
    const calls: Partial<Libc> = {
      errno: () => this.#errno,
      address: (buffer) => this.#address(buffer),
      writev: (_fd, iovs, count) => this.#answer(this.onWrite(this.#coalescer(iovs, count))),
      sendmmsg: (_fd, messages, count) => {
        const datagrams = Array.from({ length: count }, (_, i) => this.#message(messages, i));
        return this.#answer(this.onSend(datagrams));
      },
    };
    return calls as Libc;
  }

  #address(buffer: Buffer): bigint {
    const known = this.#places.get(buffer);
    if (known !== undefined) return known;
    const address = this.#next;
    this.#places.set(buffer, address);
    this.#next += BigInt(buffer.length + 4096);
    return address;
  }

  #answer(answer: Answer): number {
    if (typeof answer === 'number') return answer;
    this.#errno = answer.errno;
    return -1;
  }

  #at(address: bigint, length: number): Buffer {
    for (const [buffer, place] of this.#places) {
      const offset = Number(address - place);
      if (offset >= 0 && offset + length <= buffer.length) return buffer.subarray(offset, offset + length);
    }
    throw new RangeError(`nothing was given the address ${address}`);
  }

  #coalescer(iovs: bigint, count: number): Buffer {
    const entries = this.#at(iovs, count * IOVEC.size);
    const pieces = Array.from({ length: count }, (_, i) => {
      const base = entries.readBigUInt64LE(i * IOVEC.size + IOVEC.base);
      return this.#at(base, Number(entries.readBigUInt64LE(i * IOVEC.size + IOVEC.length)));
    });
    return Buffer.concat(pieces);
  }

  #message(messages: bigint, i: number): Buffer {
    const header = this.#at(messages + BigInt(i * MMSGHDR.size), MMSGHDR.size);
    const count = Number(header.readBigUInt64LE(MMSGHDR.iovCount));
    return this.#coalescer(header.readBigUInt64LE(MMSGHDR.iov), count);
  }
}
