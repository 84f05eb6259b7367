import { findPreamble, noPreamble } from '../../preamble.js';
import type { Preamble, PreambleOptions } from '../../streams.js';
import { ERRNO } from '../errno.js';
import type { SecureChannel } from './channel.js';
import type { StreamParts } from './parts.js';

/** <sys/socket.h> */
const MSG_PEEK = 2;

/** What an accepted connection begins with: a TLS handshake, or what comes before it. */
export type Beginning = Pick<SecureChannel, 'handshake' | 'accepted' | 'error'>;

/**
 * Reads a preamble, and goes on with the TLS handshake, if there is one. Its length is known when it is complete, and OpenSSL, which
 * reads the descriptor, takes no bytes back: those that arrive are looked at (recv(2), MSG_PEEK), and no more are read than belong to it.
 */
export class PreambleReading implements Beginning {
  preamble: Preamble | undefined;
  /** What was read of it. */
  #begun = Buffer.alloc(0);
  #error: Error | undefined;

  constructor(
    private readonly parts: StreamParts,
    private readonly fd: number,
    private readonly options: PreambleOptions,
    private readonly channel: SecureChannel | undefined,
  ) {}

  get error(): Error | undefined {
    return this.#error ?? this.channel?.error;
  }

  handshake(): number {
    while (!this.preamble) {
      const result = this.#read();
      if (result < 0) return result;
    }
    return this.channel?.handshake() ?? 0;
  }

  accepted(): number {
    return this.channel?.accepted() ?? 0;
  }

  /** @returns 0: some of it, or all, was read; else a negative errno */
  #read(): number {
    const { parts, fd, options } = this;
    const { libc, receivedAddress } = parts;
    const begun = this.#begun.length;
    const count = libc.recv(fd, receivedAddress, options.most - begun, MSG_PEEK);
    if (count < 0) return -libc.errno();
    const bytes = Buffer.concat([this.#begun, parts.view(count)]);
    const found = count === 0 ? noPreamble(bytes) : findPreamble(options, bytes, begun);
    if (found instanceof Error) {
      this.#error = found;
      return -ERRNO.EPROTO;
    }
    if (found) this.preamble = found;
    else this.#begun = bytes;
    // Also what is incomplete: left there, it would hide the end of the connection.
    return libc.recv(fd, receivedAddress, (found?.length ?? bytes.length) - begun, 0) < 0 ? -libc.errno() : 0;
  }
}
