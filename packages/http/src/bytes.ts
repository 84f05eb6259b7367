/** Classes of bytes, as bits of {@link CLASS}. */
export const TOKEN = 1;
/** Of a field value: HTAB, 0x20 to 0x7E, 0x80 to 0xFF (RFC 9110, section 5.5). */
export const VALUE = 2;
/** Of a request target, in any form: 0x21 to 0x7E without `#`, which would begin a fragment. */
export const TARGET = 4;
/** Never escaped in a path: letters, digits, `-`, `.`, `_`, `~` (RFC 3986, section 2.3). */
export const UNRESERVED = 8;
export const DIGIT = 16;
export const HEX = 32;
/** In a target: what makes a path need {@link normalPath}: `%`, and `.` (a dot segment may follow). */
export const UNUSUAL = 64;

export const CR = 13;
export const LF = 10;
export const SP = 32;
export const HTAB = 9;
export const COLON = 58;

export const CLASS = new Uint8Array(256);
/** A byte of a field name as names are compared: lower case, and `_` read as `-`. */
export const FOLD = new Uint8Array(256);

for (let byte = 0; byte < 256; byte++) {
  const char = String.fromCharCode(byte);
  let bits = 0;
  if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(char)) bits |= TOKEN;
  if (byte === HTAB || (byte >= SP && byte !== 0x7f)) bits |= VALUE;
  if (byte > SP && byte < 0x7f && char !== '#') bits |= TARGET;
  if (/[A-Za-z0-9\-._~]/.test(char)) bits |= UNRESERVED;
  if (/[0-9]/.test(char)) bits |= DIGIT;
  if (/[0-9A-Fa-f]/.test(char)) bits |= HEX;
  if (char === '%' || char === '.') bits |= UNUSUAL;
  CLASS[byte] = bits;
  FOLD[byte] = char === '_' ? 0x2d : byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

const latin1Slice = Buffer.prototype.latin1Slice;
const latin1Write = Buffer.prototype.latin1Write;

/** Bytes as a string, each byte a character of the same number. */
export function text(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end);
}

/** Writes a string of characters up to U+00FF. @returns the offset behind it */
export function writeText(target: Uint8Array, at: number, string: string): number {
  const { length } = string;
  if (length > 48) return at + latin1Write.call(target, string, at, length);
  for (let i = 0; i < length; i++) target[at + i] = string.charCodeAt(i);
  return at + length;
}

/** Bytes up to so many are copied one by one: that takes less time than to make a view of them. */
const FEW = 48;
/** The same for all bytes of an array, which need no view. */
const FEWER = 16;

/** Copies bytes from `start` to `end`. @returns the offset behind them */
export function writeBytes(
  target: Uint8Array,
  at: number,
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
): number {
  const length = end - start;
  if (length > FEWER && length === bytes.length) target.set(bytes, at);
  else if (length > FEW) target.set(view(bytes, start, end), at);
  else for (let i = 0; i < length; i++) target[at + i] = bytes[start + i]!;
  return at + length;
}

/** Of a Buffer too, a plain array: its constructor takes half the time. */
function view(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}

/** Whether bytes are these. */
export function isEqual(bytes: Uint8Array, start: number, end: number, others: Uint8Array): boolean {
  const { length } = others;
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) if (bytes[start + i] !== others[i]) return false;
  return true;
}

/** Whether bytes are a string. */
export function isExactly(bytes: Uint8Array, start: number, end: number, string: string): boolean {
  if (end - start !== string.length) return false;
  for (let i = 0; i < string.length; i++) if (bytes[start + i] !== string.charCodeAt(i)) return false;
  return true;
}

/** Whether bytes are a string, of lower case, in any case. */
export function isText(bytes: Uint8Array, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    const byte = bytes[start + i]!;
    const folded = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (folded !== lower.charCodeAt(i)) return false;
  }
  return true;
}

/** The first LF of a range; -1: there is none. */
export function findLf(bytes: Uint8Array, start: number, end: number): number {
  const near = Math.min(end, start + 64);
  for (let at = start; at < near; at++) if (bytes[at] === LF) return at;
  if (near === end) return -1;
  const found = bytes.subarray(near, end).indexOf(LF);
  return found < 0 ? -1 : near + found;
}

/** Writes CRLF. @returns the offset behind it */
export function writeEnd(target: Uint8Array, at: number): number {
  target[at] = CR;
  target[at + 1] = LF;
  return at + 2;
}
