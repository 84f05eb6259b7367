import type { Libc } from '../libc.js';
import type { Channel } from './channel.js';

/** <sys/socket.h> */
const SHUT_WR = 1;

/** Bytes as they are. */
export class PlainChannel implements Channel {
  readonly exact = true;
  readonly begun = 0;
  readonly error = undefined;

  constructor(
    private readonly libc: Libc,
    private readonly fd: number,
  ) {}

  receive(address: number | bigint, length: number): number {
    return this.#result(this.libc.recv(this.fd, address, length, 0));
  }

  send(vectors: bigint, count: number): number {
    // Node ignores SIGPIPE.
    return this.#result(this.libc.writev(this.fd, vectors, count));
  }

  sendOne(address: number, length: number): number {
    return this.#result(this.libc.send(this.fd, address, length, 0));
  }

  finish(): number {
    return this.#result(this.libc.shutdown(this.fd, SHUT_WR));
  }

  free(): void {}

  #result(count: number): number {
    return count < 0 ? -this.libc.errno() : count;
  }
}
