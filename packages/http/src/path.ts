import { Rejection } from './rejection.js';

const INVALID = new Rejection(400, 'invalid path');
const ESCAPE = new Rejection(400, 'invalid percent-escape in the path');
const ZERO = new Rejection(400, 'NUL in the path');
const CLIMB = new Rejection(400, 'path above the root');

/**
 * The one form of a path in which it is both routed and forwarded: percent-escapes of unreserved characters decoded, other escapes in
 * upper case (RFC 3986, section 6.2.2), dot segments removed (section 5.2.4).
 *
 * Rejected: malformed escapes, `%00`, characters outside 0x21 to 0x7E, `#` and `?`, no `/` in front, a climb above the root.
 */
export function normalPath(path: string): string | Rejection {
  if (path.charCodeAt(0) !== 0x2f || /[^\x21-\x7e]|[#?]/.test(path)) return INVALID;
  if (!/%|\/\./.test(path)) return path;
  if (/%(?![\da-fA-F]{2})/.test(path)) return ESCAPE;
  if (path.includes('%00')) return ZERO;
  const decoded = path.replace(/%../g, (hex) => {
    const char = decode(hex);
    return /[\w.~-]/.test(char) ? char : hex.toUpperCase();
  });
  return decoded.includes('/.') ? withoutDots(decoded.slice(1).split('/')) : decoded;
}

function decode(hex: string): string {
  return String.fromCharCode(Number.parseInt(hex.slice(1), 16));
}

function withoutDots(segments: string[]): string | Rejection {
  const kept: string[] = [];
  for (const [index, segment] of segments.entries()) {
    if (segment === '..') {
      if (kept.length === 0) return CLIMB;
      kept.pop();
    } else if (segment !== '.') {
      kept.push(segment);
      continue;
    }
    if (index === segments.length - 1) kept.push('');
  }
  return `/${kept.join('/')}`;
}

/**
 * How a less careful program reads a normal path: decoded completely, `\` as `/`, `;parameters` removed, `//` merged, dot segments
 * removed, not beyond the root. Undefined: all programs read it alike. A path whose other reading takes another route is to be rejected.
 */
export function otherReading(path: string): string | undefined {
  if (!/[%\\;]|\/\//.test(path)) return undefined;
  const segments = decodeCompletely(path)
    .replaceAll('\\', '/')
    .split('/')
    .map((segment) => segment.replace(/;.*$/s, ''));
  const kept: string[] = [];
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '.' && segment !== '') kept.push(segment);
  }
  const endsInSlash = kept.length > 0 && ['', '.', '..'].includes(segments.at(-1)!);
  const other = `/${kept.join('/')}${endsInSlash ? '/' : ''}`;
  return other === path ? undefined : other;
}

/** Decodes until no escape is left, also those that decoding made: `%252f` and `%25%32%66` are `/`. */
function decodeCompletely(path: string): string {
  const chars: string[] = [];
  for (const char of path) {
    chars.push(char);
    for (;;) {
      const last = chars.slice(-3).join('');
      if (!/^%[\da-fA-F]{2}$/.test(last)) break;
      chars.length -= 3;
      chars.push(decode(last));
    }
  }
  return chars.join('');
}
