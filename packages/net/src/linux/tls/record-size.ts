import { performance } from 'node:perf_hooks';
import { RECORD } from './record-vectors.js';

/**
 * With the 22 bytes of TLS 1.3 (RFC 8446, section 5.2), it fits a segment of TCP on Ethernet with IPv6 and timestamps, which is 1,428
 * bytes; with the 29 of TLS 1.2, one with IPv4.
 */
const SMALL = 1400;
/** So many bytes are sent in small records: about what TCP sends before the first acknowledgements of a long way (RFC 6928). */
const SMALL_BYTES = 64 * 1024;
/** After so long without sending, in milliseconds, the records are small again: TCP begins anew, too (RFC 5681, section 4.1). */
const IDLE_MS = 1000;

/**
 * How large the records of a connection are. A record is decrypted when all of it is there: at first, when few segments are under way,
 * a large one would delay the bytes that arrived already; later, small ones cost more.
 */
export class RecordSize {
  /** Bytes that are still sent in small records. */
  #small = SMALL_BYTES;
  #sentAt = performance.now();

  /** Bytes of the next record, at most. */
  get limit(): number {
    return this.#small > 0 ? SMALL : RECORD;
  }

  /** Before a call that sends. */
  look(): void {
    const now = performance.now();
    if (now - this.#sentAt >= IDLE_MS) this.#small = SMALL_BYTES;
    this.#sentAt = now;
  }

  sent(bytes: number): void {
    this.#small -= bytes;
  }
}
