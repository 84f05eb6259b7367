import type { TlsFacts } from '../../streams.js';

/**
 * Bytes through one non-blocking descriptor: plain, or with TLS. Results are counts, or a negative errno; -EAGAIN: try again at the next
 * event of the descriptor, whichever it is: TLS may have to send in order to receive, and the reverse.
 */
export interface Channel {
  /**
   * Receives into memory that stays where it is.
   * @returns bytes; 0: the peer has ended (FIN; with TLS close_notify: a FIN without it is -ECONNRESET)
   */
  receive(address: number | bigint, length: number): number;
  /**
   * Sends from an array of iovec structures (IoVectors). What is not taken must be given again, and first, as TLS may have encrypted a
   * part of it already.
   * @returns bytes taken, from the first on
   */
  send(vectors: bigint, count: number): number;
  /** As {@link send}, for one buffer. The address is exact as a number (see StreamParts). */
  sendOne(address: number, length: number): number;
  /** After a send that did not take all: so many of the bytes not taken are encrypted already. With TLS alone. */
  readonly begun: number;
  /** Ends sending: FIN, with TLS close_notify first. @returns 0: done */
  finish(): number;
  /**
   * Whether a count below what was asked for means that the descriptor is empty, or full: the next call would return -EAGAIN, unless
   * the peer has ended. Not so with TLS, whose records are counted one by one.
   */
  readonly exact?: true;
  /** With TLS, after a {@link receive} of bytes: whether it has emptied the descriptor, as far as that can be told. */
  readonly emptied?: boolean;
  /** What -EPROTO means, and with TLS -ECONNRESET. */
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
  /**
   * With TLS 1.3 the handshake of a client ends before the server has verified the client (RFC 8446, section 2).
   * @returns 0: the server has sent something after it, and so has accepted this client
   */
  accepted(): number;
}
