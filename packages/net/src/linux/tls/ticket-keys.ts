import { hkdfSync, randomBytes } from 'node:crypto';

/** How long session tickets are issued with a key, in milliseconds. Their sessions live as long (seconds in OpenSSL). */
export const TICKET_KEY_MS = 3_600_000;

/** What the threads of a process share (structured clone), so that each resumes the sessions of the others. */
export interface TicketSeed {
  /** The secret of the oldest key that is still accepted, 32 bytes. */
  secret: Uint8Array;
  /** The number of its period; period 0 began when the system started. */
  period: number;
}

/** A key of session tickets (RFC 5077, section 4): its name, AES-256-CBC, HMAC-SHA-256. */
export interface TicketKey {
  /** 16 bytes. */
  name: Buffer;
  /** 32 bytes each. */
  cipher: Buffer;
  mac: Buffer;
}

/**
 * The keys of session tickets, a new one for each period. Each thread derives them by itself: the secret of a period is a hash
 * of the one before, so that no thread waits for another, and keys that are forgotten cannot be computed again.
 */
export class TicketKeys {
  #seed: TicketSeed;
  /** That of the seed's period, and of the next. */
  #keys: readonly [TicketKey, TicketKey];

  /** @param seed that of another thread; by default a new one @param now a clock of the system, in milliseconds */
  constructor(
    seed?: TicketSeed,
    private readonly now = monotonic,
  ) {
    this.#seed = seed ?? { secret: randomBytes(32), period: this.#period - 1 };
    this.#keys = keysOf(this.#seed.secret);
  }

  /** For the keys of another thread. */
  get seed(): TicketSeed {
    this.#advance();
    return this.#seed;
  }

  /** Encrypts new tickets. */
  get current(): TicketKey {
    this.#advance();
    return this.#keys[1];
  }

  /** Decrypts a ticket; undefined: its key is unknown, or too old. */
  find(name: Buffer): TicketKey | undefined {
    this.#advance();
    return this.#keys.find((key) => key.name.equals(name));
  }

  get #period(): number {
    return Math.floor(this.now() / TICKET_KEY_MS);
  }

  #advance(): void {
    const oldest = this.#period - 1;
    if (oldest <= this.#seed.period) return;
    let { secret, period } = this.#seed;
    for (; period < oldest; period++) secret = next(secret);
    this.#seed = { secret, period };
    this.#keys = keysOf(secret);
  }
}

/** CLOCK_MONOTONIC: all threads of the system read the same. */
function monotonic(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

function keysOf(secret: Uint8Array): [TicketKey, TicketKey] {
  return [keyOf(secret), keyOf(next(secret))];
}

function keyOf(secret: Uint8Array): TicketKey {
  const bytes = derive(secret, 'key', 80);
  return { name: bytes.subarray(0, 16), cipher: bytes.subarray(16, 48), mac: bytes.subarray(48) };
}

function next(secret: Uint8Array): Uint8Array {
  return derive(secret, 'next secret', 32);
}

/** HKDF (RFC 5869). */
function derive(secret: Uint8Array, what: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `TLS session tickets: ${what}`, length));
}
