import { TicketKeys, type TicketSeed } from './ticket-keys.js';

let keys: TicketKeys | undefined;

/** The session ticket keys of the TLS listeners of this thread's `streams`: new ones, unless it was given a seed. */
export function threadTicketKeys(): TicketKeys {
  keys ??= new TicketKeys();
  return keys;
}

/**
 * The secret of this thread's session ticket keys, for other threads of the program ({@link useTicketSeed}). It is plain data, for
 * `workerData` or `postMessage`. Keys are derived from it for all time to come: it must not leave the process. To be taken anew for each
 * thread that starts: keys that are no longer accepted, an hour or two old, cannot be derived from a newer one.
 */
export function ticketSeed(): TicketSeed {
  return threadTicketKeys().seed;
}

/**
 * Uses the session ticket keys of another thread, so that each resumes the TLS sessions of the other (RFC 8446, section 2.2), under the
 * same certificate, server name and client CA alone. To be called before `streams` of the linux engine is used in this thread; node:tls,
 * which the node engine uses, has keys of its own in each listener.
 * @throws Error if this thread has keys already, RangeError if the secret has not 32 bytes
 */
export function useTicketSeed(seed: TicketSeed): void {
  if (keys) throw new Error('this thread has session ticket keys already');
  if (seed.secret.length !== 32)
    throw new RangeError(`a ticket secret of ${seed.secret.length} bytes: it has 32`);
  keys = new TicketKeys(seed);
}
