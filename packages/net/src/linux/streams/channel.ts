import type { TlsFacts } from '../../streams.js';

/**
 * Bytes through one non-blocking descriptor: plain, or with TLS. Results are counts, or a negative errno; -EAGAIN: try again at the next
 * event of the descriptor.
 */
export interface Channel {
  /** Receives into memory that stays where it is. @returns bytes; 0: the peer has ended (FIN; with TLS close_notify) */
  receive(address: bigint, length: number): number;
  /** Sends from an array of iovec structures (IoVectors). @returns bytes taken, from the first on */
  send(vectors: bigint, count: number): number;
  /** As {@link send}, for one buffer, where that costs less. The address is exact as a number (see StreamParts). */
  sendOne?(address: number, length: number): number;
  /** Ends sending: FIN, with TLS close_notify first. @returns 0: done */
  finish(): number;
  /** Whether received bytes wait inside (TLS records that were read and not taken): the descriptor does not tell of them. */
  readonly pending: boolean;
  /**
   * Whether a count below what was asked for means that the descriptor is empty, or full: the next call would return -EAGAIN, unless
   * the peer has ended. Not so with TLS, whose records are counted one by one.
   */
  readonly exact?: true;
  /** What -EPROTO means. */
  readonly error: Error | undefined;
  /** Frees what it has, but not the descriptor. */
  free(): void;
}

/** A Channel that begins with a handshake. */
export interface SecureChannel extends Channel {
  /** @returns 0: finished and verified, facts are there */
  handshake(): number;
  /** After the handshake. */
  readonly facts: TlsFacts;
}
