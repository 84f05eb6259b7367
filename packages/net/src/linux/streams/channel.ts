import type { TlsFacts } from '../../streams.js';

/**
 * Bytes through one non-blocking descriptor: plain, or with TLS. Results are counts, or a negative errno; -EAGAIN: try again
 * at the next event of the descriptor, whichever it is.
 */
export interface Channel {
  /**
   * Receives into memory that stays where it is.
   * @returns bytes; 0: the peer has ended (FIN; with TLS close_notify). A FIN without close_notify is -ECONNRESET
   */
  receive(address: bigint, length: number): number;
  /** Sends from an array of iovec structures (IoVectors). @returns bytes taken, from the first on */
  send(vectors: bigint, count: number): number;
  /** Ends sending: FIN, with TLS close_notify first. @returns 0: done */
  finish(): number;
  /** Whether received bytes wait inside (TLS records that were read and not taken): the descriptor does not tell of them. */
  readonly pending: boolean;
  /** What -EPROTO means, and with TLS -ECONNRESET. */
  readonly error: Error | undefined;
  /** Frees what it has, but not the descriptor. */
  free(): void;
}

/** A {@link Channel} that begins with a handshake. */
export interface SecureChannel extends Channel {
  /** @returns 0: finished and verified, {@link facts} are there */
  handshake(): number;
  /** After the handshake. */
  readonly facts: TlsFacts;
}
