import { FOLD } from './bytes.js';

/** The fields that are looked for in every message. A number is a place in a row of {@link Fields}, and a bit of {@link Fields.known}. */
export const KNOWN = {
  host: 1,
  connection: 2,
  'keep-alive': 3,
  'proxy-connection': 4,
  te: 5,
  'transfer-encoding': 6,
  upgrade: 7,
  'content-length': 8,
  expect: 9,
  trailer: 10,
  forwarded: 11,
  'x-forwarded-for': 12,
  'x-forwarded-proto': 13,
  'x-forwarded-host': 14,
  'x-forwarded-port': 15,
  'x-forwarded-prefix': 16,
  'x-real-ip': 17,
  via: 18,
  date: 19,
  server: 20,
  'content-type': 21,
  cookie: 22,
  'set-cookie': 23,
  location: 24,
  authorization: 25,
  'proxy-authorization': 26,
  'accept-encoding': 27,
  'user-agent': 28,
} as const;

/** Any other field whose name begins with `x-forwarded-`. */
export const OTHER_FORWARDED = 29;
/** Added to the number of a known name in which a `-` is spelt `_`: CGI and its like read both as one (RFC 3875, section 4.1.18). */
export const MISSPELT = 32;

export const NAMES: readonly string[] = ['', ...Object.keys(KNOWN)];

/** A bit for each of some known names, in either spelling. */
export function maskOf(...names: (keyof typeof KNOWN)[]): number {
  return names.reduce((mask, name) => mask | (1 << KNOWN[name]), 0);
}

/** The fields that concern one connection or the framing, and Host: each hop makes its own. */
export const HOP_BY_HOP = maskOf(
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'expect',
);

/** What the gateway itself says about a client: never believed, unless from a trusted proxy. */
export const FORWARDING =
  maskOf(
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-forwarded-host',
    'x-forwarded-port',
    'x-forwarded-prefix',
    'x-real-ip',
  ) |
  (1 << OTHER_FORWARDED);

export const PREFIX = 'x-forwarded-';
const LONGEST = Math.max(...NAMES.map((name) => name.length));
export const SLOTS = 256;

/** Where a name is looked up: by its length, its last letter and the fourth from the end. No two known names share a slot. */
export function slotOf(length: number, fourth: number, last: number): number {
  return (length + fourth * 3 + last * 23) & (SLOTS - 1);
}

/** The number of the known name in a slot; 0: none. */
export const BY_SLOT = new Uint8Array(SLOTS);
for (const [name, id] of Object.entries(KNOWN)) {
  const slot = slotOf(name.length, name.at(-4)?.charCodeAt(0) ?? 0, name.charCodeAt(name.length - 1));
  BY_SLOT[slot] = id;
}

/** The number of a field name; 0: none is known. The name has at least one byte. */
export function knownName(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length <= LONGEST) {
    const fourth = length < 4 ? 0 : FOLD[bytes[end - 4]!]!;
    const id = BY_SLOT[slotOf(length, fourth, FOLD[bytes[end - 1]!]!)]!;
    if (id !== 0 && NAMES[id]!.length === length) {
      const found = folds(bytes, start, NAMES[id]!);
      if (found >= 0) return id + found;
    }
  }
  if (length > PREFIX.length && FOLD[bytes[start]!] === 0x78) {
    const found = folds(bytes, start, PREFIX);
    if (found >= 0) return OTHER_FORWARDED + found;
  }
  return 0;
}

/** The same for a name in lower case. */
export function knownText(name: string): number {
  return name.length <= LONGEST ? (KNOWN[name as keyof typeof KNOWN] ?? 0) : 0;
}

/** Whether bytes are a name, or begin with it: 0, {@link MISSPELT} or, if they are not, -1. */
function folds(bytes: Uint8Array, start: number, name: string): number {
  let found = 0;
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i]!;
    if (FOLD[byte] !== name.charCodeAt(i)) return -1;
    if (byte === 0x5f) found = MISSPELT;
  }
  return found;
}
