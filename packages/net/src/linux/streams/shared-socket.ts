import { rmSync } from 'node:fs';
import type { SocketAddress } from 'mproxy-base';
import type { SharedSocket, ShareOptions } from '../../streams.js';
import type { Libc } from '../libc.js';
import { openListening } from './listening.js';
import { localAddress } from './stream-socket.js';

/** A listening socket of several threads, as its owner has it. */
export class LinuxSharedSocket implements SharedSocket {
  readonly local: SocketAddress | undefined;
  readonly #path: string | undefined;
  #fd: number;

  /** @throws the system's error */
  constructor(
    private readonly libc: Libc,
    options: ShareOptions,
  ) {
    this.#fd = openListening(libc, options);
    this.local = localAddress(libc, this.#fd);
    const { at } = options;
    if ('path' in at && !at.path.startsWith('\0')) this.#path = at.path;
  }

  get fd(): number {
    return this.#fd;
  }

  refuse(): void {
    // The backlog of a socket that listens already changes, and counts those beyond the first (inet_listen, sk_acceptq_is_full).
    if (this.#fd >= 0) this.libc.listen(this.#fd, 0);
  }

  close(): void {
    if (this.#fd < 0) return;
    this.libc.close(this.#fd);
    this.#fd = -1;
    if (this.#path !== undefined) rmSync(this.#path, { force: true });
  }
}
