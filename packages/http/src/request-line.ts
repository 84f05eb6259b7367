import { CLASS, isEqual, SP, TARGET, TOKEN, text } from './bytes.js';
import { Rejection } from './rejection.js';
import { parseTarget, type Target } from './target.js';

export interface RequestLine {
  readonly method: string;
  readonly target: Target;
  readonly version: '1.0' | '1.1';
  /** Whether it can be sent on as it came: its path is normal, its version ours. */
  readonly isPlain: boolean;
}

const METHOD = new Rejection(400, 'invalid method');
const BYTES = new Rejection(400, 'invalid byte in the request target');
const VERSION = new Rejection(400, 'invalid HTTP version');
const UNSUPPORTED = new Rejection(505, 'unsupported HTTP version');
const END = new Rejection(400, 'request line without CRLF');

const SLOTS = 512;
/** Bytes of a line that is remembered. */
const SHORT = 256;

/** The lines of this thread that were read last, one for each slot: the same ones come again and again. */
const remembered: ({ bytes: Uint8Array; line: RequestLine } | undefined)[] = new Array(SLOTS).fill(undefined);

/** The same as {@link parseRequestLine}, and remembers what it has read. */
export function cachedRequestLine(bytes: Uint8Array, start: number, lf: number): RequestLine | Rejection {
  if (lf - start > SHORT) return parseRequestLine(bytes, start, lf);
  let hash = lf - start;
  // The end of the target, before ` HTTP/1.1` and its CR.
  for (let at = Math.max(start, lf - 18); at < lf - 10; at++) hash = (hash * 31 + bytes[at]!) | 0;
  const slot = (hash ^ (hash >>> 9)) & (SLOTS - 1);
  const known = remembered[slot];
  if (known !== undefined && isEqual(bytes, start, lf, known.bytes)) return known.line;
  const line = parseRequestLine(bytes, start, lf);
  if (!(line instanceof Rejection))
    remembered[slot] = { bytes: new Uint8Array(bytes.subarray(start, lf)), line };
  return line;
}

/** Reads a request line (RFC 9112, section 3), to its LF. */
export function parseRequestLine(bytes: Uint8Array, start: number, lf: number): RequestLine | Rejection {
  let at = start;
  while ((CLASS[bytes[at]!]! & TOKEN) !== 0) at++;
  if (at === start || bytes[at] !== SP) return METHOD;
  const method = methodOf(bytes, start, at);
  const targetStart = ++at;
  while ((CLASS[bytes[at]!]! & TARGET) !== 0) at++;
  if (at === targetStart || bytes[at] !== SP) return BYTES;
  const minor = versionAt(bytes, at + 1);
  if (minor instanceof Rejection) return minor;
  if (at + 10 !== lf || bytes[at + 9] !== 13) return END;
  const target = parseTarget(method, text(bytes, targetStart, at));
  if (target instanceof Rejection) return target;
  return { method, target, version: minor === 0 ? '1.0' : '1.1', isPlain: minor === 1 && target.isPlain };
}

function methodOf(bytes: Uint8Array, start: number, end: number): string {
  const isGet =
    end - start === 3 && bytes[start] === 0x47 && bytes[start + 1] === 0x45 && bytes[start + 2] === 0x54;
  return isGet ? 'GET' : text(bytes, start, end);
}

/** `HTTP/` in its bytes. */
const NAME = [0x48, 0x54, 0x54, 0x50, 0x2f];

/**
 * The minor version of `HTTP/1.x` at an offset. A later one than 1 is read as 1.1 (RFC 9110, section 2.5).
 */
export function versionAt(bytes: Uint8Array, at: number): number | Rejection {
  for (let i = 0; i < NAME.length; i++) if (bytes[at + i] !== NAME[i]) return VERSION;
  const major = bytes[at + 5]! - 0x30;
  const minor = bytes[at + 7]! - 0x30;
  if (!(major >= 0 && major <= 9 && minor >= 0 && minor <= 9) || bytes[at + 6] !== 0x2e) return VERSION;
  return major === 1 ? minor : UNSUPPORTED;
}
