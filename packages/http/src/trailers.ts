import { CR, LF } from './bytes.js';
import { Fields } from './fields.js';
import { HeadReader } from './head-reader.js';
import { FORWARDING, HOP_BY_HOP, maskOf } from './known-names.js';
import { HEAD_LIMITS, Rejection } from './rejection.js';
import { DONE, MORE } from './scan-results.js';
import { headScanner } from './scanner.js';

/**
 * Dropped from trailers: what frames or routes a message, authenticates it or says how to read it (RFC 9110, section 6.5.1), and what a
 * gateway says of its client.
 */
const DROPPED =
  FORWARDING |
  HOP_BY_HOP |
  maskOf(
    'trailer',
    'via',
    'content-type',
    'cookie',
    'set-cookie',
    'location',
    'authorization',
    'proxy-authorization',
  );
const DROPPED_TOO = [
  'www-authenticate',
  'authentication-info',
  'proxy-authenticate',
  'proxy-authentication-info',
  'content-encoding',
  'content-range',
  'cache-control',
  'max-forwards',
  'range',
];

const LONG = new Rejection(400, 'trailers too long');

/** Reads the field lines behind the last chunk. */
export class Trailers {
  done = false;
  fields: Fields | undefined;
  rejection: Rejection | undefined;
  readonly #reader: HeadReader;
  /** What has come of them. */
  #bytes: Buffer = Buffer.alloc(0);

  /** @param limit of their bytes */
  constructor(private readonly limit: number) {
    this.#reader = new HeadReader(headScanner(), { ...HEAD_LIMITS, section: limit + 2 });
    this.#reader.startLineRead(0);
  }

  /** @returns the offset behind what it has used */
  read(bytes: Uint8Array, start: number, end: number): number {
    const before = this.#bytes.length;
    if (before === 0 && bytes[start] === CR && bytes[start + 1] === LF && start + 1 < end) {
      this.done = true;
      return start + 2;
    }
    const taken = Math.min(end, start + this.limit + 3 - before);
    this.#bytes = Buffer.concat([this.#bytes, bytes.subarray(start, taken)]);
    const result = this.#reader.fieldLines(this.#bytes, this.#bytes.length);
    if (result === MORE) return taken;
    if (result !== DONE) {
      this.rejection = result.reason === 'header section too long' ? LONG : result;
      return taken;
    }
    this.done = true;
    this.#finish();
    return start + this.#reader.at - before;
  }

  #finish(): void {
    const fields = new Fields(this.#bytes, this.#reader.rows, this.#reader.known);
    fields.deleteKnown(DROPPED);
    for (const name of DROPPED_TOO) fields.delete(name);
    for (const _ of fields) {
      this.fields = fields;
      return;
    }
  }
}
