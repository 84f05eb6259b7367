import { CLASS, HTAB, SP, TOKEN, VALUE } from './bytes.js';

/** Whether a string is a token: a field name, a method (RFC 9110, section 5.6.2). */
export function isToken(string: string): boolean {
  return string.length > 0 && consistsOf(string, TOKEN);
}

/** Whether a string can be a field value: HTAB, 0x20 to 0x7E, U+0080 to U+00FF, no white space at either end; or empty. */
export function isFieldValue(string: string): boolean {
  const { length } = string;
  if (length === 0) return true;
  return string.charCodeAt(0) > SP && string.charCodeAt(length - 1) > SP && consistsOf(string, VALUE);
}

function consistsOf(string: string, bits: number): boolean {
  for (let i = 0; i < string.length; i++) {
    const code = string.charCodeAt(i);
    if (code > 0xff || (CLASS[code]! & bits) === 0) return false;
  }
  return true;
}

/** Reads a Content-Length: 1*DIGIT below 2^53. Undefined: it is none. */
export function parseContentLength(bytes: Uint8Array, start: number, end: number): number | undefined {
  let length = 0;
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    length = length * 10 + digit;
    if (length > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return end > start ? length : undefined;
}

/**
 * The elements of a list of tokens, in lower case; empty ones, which RFC 9110 tolerates (section 5.6.1), are left out. Undefined: an
 * element is no token.
 */
export function parseTokens(value: string): string[] | undefined {
  const tokens: string[] = [];
  for (const element of value.split(',')) {
    const token = withoutSpace(element);
    if (token === '') continue;
    if (!isToken(token)) return undefined;
    tokens.push(token.toLowerCase());
  }
  return tokens;
}

/** Without the white space around it: in one pass, where a regular expression takes the square of its length. */
function withoutSpace(element: string): string {
  let start = 0;
  let end = element.length;
  while (start < end && isSpace(element.charCodeAt(start))) start++;
  while (end > start && isSpace(element.charCodeAt(end - 1))) end--;
  return element.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === SP || code === HTAB;
}

/** Registered transfer codings besides chunked (RFC 9112, section 7), and their old names. */
const CODINGS = new Set(['compress', 'deflate', 'gzip', 'x-compress', 'x-gzip']);

/** What a Transfer-Encoding says: `chunked` alone, a known coding before it, or nothing that all programs read alike. */
export function parseTransferEncoding(value: string): 'chunked' | 'unsupported' | 'invalid' {
  if (withoutSpace(value) !== value) return 'invalid';
  const codings = value.toLowerCase().split(',').map(withoutSpace);
  if (codings.pop() !== 'chunked') return 'invalid';
  if (codings.length === 0) return 'chunked';
  return codings.every((coding) => CODINGS.has(coding)) ? 'unsupported' : 'invalid';
}
