import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';

/** RFC 4648, section 6; without padding. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** The first five bits of a key tell its kind: S of a seed, U of a user (NATS ADR-1, ADR-14). */
const SEED_PREFIX = 18 << 3;
const USER_PREFIX = 20 << 3;
const KEY_BYTES = 32;
const CRC_BYTES = 2;
/** An Ed25519 private key in PKCS #8, before the key itself (RFC 8410, section 7). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A key of a user: an Ed25519 pair, written as a seed `SU...` or, its public half, `U...`. */
export class UserKey {
  readonly #private: KeyObject;

  /** @throws if the seed is not the seed of a user. The error does not contain it. */
  constructor(seed: string) {
    const bytes = decode(seed);
    // The prefix of a seed is followed by that of its kind, five bits each and three between them.
    const kind = ((bytes[0]! & 0x07) << 5) | ((bytes[1]! & 0xf8) >> 3);
    if ((bytes[0]! & 0xf8) !== SEED_PREFIX || bytes.length !== 2 + KEY_BYTES)
      throw new Error('the key is not a seed: a seed is S and 57 more characters');
    if (kind !== USER_PREFIX) throw new Error('the seed is not of a user: that begins with SU');
    this.#private = createPrivateKey({
      key: Buffer.concat([PKCS8, bytes.subarray(2)]),
      format: 'der',
      type: 'pkcs8',
    });
  }

  /** `U` and 55 more characters. */
  get publicKey(): string {
    const { x } = createPublicKey(this.#private).export({ format: 'jwk' });
    return encode(Buffer.concat([Buffer.of(USER_PREFIX), Buffer.from(x!, 'base64url')]));
  }

  /** The signature of a server's nonce, as CONNECT has it: base64url without padding. */
  sign(nonce: string): string {
    return sign(null, Buffer.from(nonce), this.#private).toString('base64url');
  }
}

/** Base32 of bytes and their checksum. */
function encode(bytes: Buffer): string {
  const checksum = Buffer.alloc(CRC_BYTES);
  checksum.writeUInt16LE(crc16(bytes));
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of Buffer.concat([bytes, checksum])) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(value >> (bits - 5)) & 31];
    value &= 0xff;
  }
  return bits > 0 ? text + ALPHABET[(value << (5 - bits)) & 31] : text;
}

/** The bytes of a key without their checksum. @throws if it is not a key */
function decode(text: string): Buffer {
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const letter of text) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0) throw new Error('the key is not in base32: A to Z and 2 to 7');
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >> bits) & 0xff);
  }
  const all = Buffer.from(bytes);
  const end = all.length - CRC_BYTES;
  if (end < 1 || crc16(all.subarray(0, end)) !== all.readUInt16LE(end))
    throw new Error('the checksum of the key is wrong: a character is missing or mistyped');
  return all.subarray(0, end);
}

/** CRC-16/XMODEM: polynomial 0x1021, initial value 0 (NATS ADR-1). */
function crc16(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1;
  }
  return crc;
}
