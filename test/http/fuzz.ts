import { NAMES } from 'mproxy-http/known-names';
import { DONE, type HeadScanner } from 'mproxy-http/scan-results';
import { JsScanner } from 'mproxy-http/scanner-js';
import { WasmScanner } from 'mproxy-http/scanner-wasm';
import type { Test } from 'tap';
import { Random } from '../support/random.js';

const VALUES = [
  '',
  'a',
  'b c',
  '\t x \t',
  'text/html; q=0.5',
  'x'.repeat(15),
  'y'.repeat(16),
  'z'.repeat(40),
  '\xe9\xff\x80',
];
const BREAKS = [
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\n',
  '\r',
  '\r\r\n',
  '\r\n ',
  '\n\r',
  '',
];
const COLONS = [': ', ': ', ': ', ':', ':\t', ' :', '\t: ', '', ': \t  '];
const ODD = [
  '\0',
  '\r',
  '\n',
  '\t',
  ' ',
  ':',
  '_',
  '\x7f',
  '\x80',
  '\xff',
  '\x1f',
  '@',
  '[',
  '\x0b',
  '`',
  '{',
];

/** Field lines, in half of the cases with something odd, and what follows them. */
export function fieldLines(random: Random): Buffer {
  const isOdd = random.next() < 0.5;
  let text = '';
  const count = random.integer(0, 12);
  for (let i = 0; i < count; i++) {
    const colon = isOdd ? random.pick(COLONS) : ': ';
    text += name(random, isOdd) + colon + random.pick(VALUES) + (isOdd ? random.pick(BREAKS) : '\r\n');
  }
  if (random.next() < 0.9) text += '\r\n';
  if (random.next() < 0.3) text += 'body: b\r\n';
  const bytes = Buffer.from(text, 'latin1');
  const odd = isOdd && bytes.length > 0 ? random.integer(0, 2) : 0;
  for (let i = 0; i < odd; i++) bytes.write(random.pick(ODD), random.integer(0, bytes.length - 1), 'latin1');
  return bytes;
}

function name(random: Random, isOdd: boolean): string {
  const known = random.pick(NAMES.slice(1));
  switch (random.integer(isOdd ? 0 : 1, 7)) {
    case 0:
      return `${known.slice(0, random.integer(0, known.length))}${random.pick(ODD)}${known.slice(1)}`;
    case 1:
      return known.replace('-', '_');
    case 2:
      return `x-forwarded-${known}`;
    case 3:
      return 'N'.repeat(random.integer(1, 40));
    case 4:
      return known.slice(0, -1);
    case 5:
      return known.toUpperCase();
    case 6:
      return `!#$%&'*+-.^_\`|~${random.integer(0, 99)}`;
    default:
      return known;
  }
}

const scanners: HeadScanner[] = [new JsScanner(), new WasmScanner()];

/** Scans so many heads with both scanners, which must find the same. */
export function compareScanners(t: Test, heads: number): void {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const valid = { count: 0 };
  for (let i = 0; i < heads; i++) if (!compareOnce(t, random, valid)) break;
  t.ok(valid.count > heads / 10 && valid.count < heads * 0.9, `${valid.count} of ${heads} are valid`);
  t.end();
}

function compareOnce(t: Test, random: Random, valid: { count: number }): boolean {
  const lines = fieldLines(random);
  const start = random.integer(0, 40);
  const behind = random.pick(['\r\n\r\n', '\n', 'a: b\r\n', '']);
  const bytes = Buffer.concat([Buffer.alloc(start, ':'), lines, Buffer.from(behind)]);
  const end = start + (random.next() < 0.7 ? lines.length : random.integer(0, lines.length));
  const limit = random.pick([100, 100, 100, 8, 0]);
  const [one, other] = scanners.map((scanner) => {
    const result = scanner.scan(bytes, start, end, limit);
    return { result, at: scanner.at, known: scanner.known, rows: scanner.rows };
  });
  if (one!.result === DONE) valid.count++;
  return same(one!, other!) || t.strictSame(one, other, JSON.stringify(bytes.toString('latin1')));
}

interface Found {
  result: number;
  at: number;
  known: number;
  rows: number[];
}

function same(one: Found, other: Found): boolean {
  return (
    one.result === other.result &&
    one.at === other.at &&
    one.known === other.known &&
    one.rows.length === other.rows.length &&
    one.rows.every((number, index) => number === other.rows[index])
  );
}
