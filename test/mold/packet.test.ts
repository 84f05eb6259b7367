import {
  checkPacket,
  checkRequest,
  countOf,
  END_OF_SESSION,
  HEADER,
  HEARTBEAT,
  MoldError,
  sequenceOf,
  sessionName,
  sessionOf,
  writeHeader,
} from 'mproxy-mold';
import t from 'tap';
import { Random } from '../support/random.js';
import { packet, SESSION } from './packets.js';

const MOST = Number.MAX_SAFE_INTEGER;
const FUZZED = 1_000_000;

type Check = (bytes: Buffer, offset: number, length: number) => void;

/** The code of the error; undefined when there is none. Anything else that is thrown goes through. */
function codeOf(check: Check, bytes: Buffer, offset = 0, length = bytes.length): string | undefined {
  try {
    check(bytes, offset, length);
    return undefined;
  } catch (error) {
    if (error instanceof MoldError) return error.code;
    throw error;
  }
}

const whole = packet(7, ['one\n', '', 'three\n']);

const packets: [string, Buffer, string?][] = [
  ['messages, an empty one among them', whole],
  ['empty messages alone', packet(1, ['', '', ''])],
  ['a heartbeat', packet(1, [], HEARTBEAT)],
  ['an end of session', packet(12, [], END_OF_SESSION)],
  ['the largest last number', packet(MOST - 1, ['a', 'b'])],
  ['a heartbeat with the largest number', packet(MOST, [])],
  ['nothing', Buffer.alloc(0), 'MOLD_SHORT'],
  ['a byte less than a header', whole.subarray(0, HEADER - 1), 'MOLD_SHORT'],
  ['no message where some should be', whole.subarray(0, HEADER), 'MOLD_CUT'],
  ['half a length', whole.subarray(0, HEADER + 1), 'MOLD_CUT'],
  ['a length alone', whole.subarray(0, HEADER + 2), 'MOLD_CUT'],
  ['a byte too few', whole.subarray(0, whole.length - 1), 'MOLD_CUT'],
  ['a byte too many', Buffer.concat([whole, Buffer.alloc(1)]), 'MOLD_TRAILING'],
  ['a message more than it counts', packet(1, ['a', 'b'], 1), 'MOLD_TRAILING'],
  ['a message less than it counts', packet(1, ['a', 'b'], 3), 'MOLD_CUT'],
  ['messages behind a heartbeat', packet(1, ['a'], HEARTBEAT), 'MOLD_TRAILING'],
  ['messages behind an end of session', packet(1, ['a'], END_OF_SESSION), 'MOLD_TRAILING'],
  ['a last number that is too large', packet(MOST - 1, ['a', 'b', 'c']), 'MOLD_NUMBER'],
  ['a first number that is too large', packet(2n ** 53n, ['a']), 'MOLD_NUMBER'],
  ['the largest number that can be written', packet(2n ** 64n - 1n, []), 'MOLD_NUMBER'],
];

const requests: [string, Buffer, string?][] = [
  ['one message', packet(1, [], 1)],
  ['as many as can be written', packet(1, [], 0xffff)],
  ['the largest number', packet(MOST, [], 1)],
  ['no message', packet(1, [], 0), 'MOLD_COUNT'],
  ['a message that does not exist', packet(0, [], 1), 'MOLD_NUMBER'],
  ['a last number that is too large', packet(MOST, [], 2), 'MOLD_NUMBER'],
  ['a first number that is too large', packet(2n ** 63n, [], 1), 'MOLD_NUMBER'],
  ['a byte too few', packet(1, [], 1).subarray(0, HEADER - 1), 'MOLD_SIZE'],
  ['a byte too many', Buffer.concat([packet(1, [], 1), Buffer.alloc(1)]), 'MOLD_SIZE'],
  ['nothing', Buffer.alloc(0), 'MOLD_SIZE'],
];

t.test('a packet is looked at to its last byte and no further', (t) => {
  for (const [what, bytes, code] of packets) {
    t.equal(codeOf(checkPacket, bytes), code, what);
    const around = Buffer.concat([Buffer.alloc(3, 0xff), bytes, Buffer.alloc(9, 1)]);
    t.equal(codeOf(checkPacket, around, 3, bytes.length), code, `${what}, inside other bytes`);
  }
  t.end();
});

t.test('a request is a header that asks for something', (t) => {
  for (const [what, bytes, code] of requests) t.equal(codeOf(checkRequest, bytes), code, what);
  t.end();
});

t.test('a header that was written is read as it was', (t) => {
  for (const sequence of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52 + 12345, MOST]) {
    const bytes = Buffer.alloc(HEADER + 2, 0xee);
    writeHeader(bytes, 1, SESSION, sequence, 513);
    t.strictSame(bytes.subarray(1, 1 + HEADER), packet(sequence, [], 513), `number ${sequence}`);
    t.equal(sequenceOf(bytes, 1), sequence);
    t.equal(countOf(bytes, 1), 513);
    t.equal(sessionOf(bytes, 1), SESSION);
    t.equal(bytes[0], 0xee, 'nothing before it is written');
    t.equal(bytes[HEADER + 1], 0xee, 'nothing behind it is written');
  }
  t.end();
});

t.test('a session has 1 to 10 printable characters, and is padded', (t) => {
  t.equal(sessionName('a'), 'a         ');
  t.equal(sessionName('0123456789'), '0123456789');
  t.equal(sessionName(' ~'), ' ~        ');
  for (const text of ['', '   ', '0123456789a', 'a\n', 'a\0', '\x7f', 'é', '日'])
    t.throws(() => sessionName(text), { name: 'MoldError', code: 'MOLD_SESSION' }, JSON.stringify(text));
  const odd = Buffer.from([0, 1, 127, 128, 255, 10, 13, 32, 233, 0, ...Array(10).fill(0)]);
  t.equal(sessionOf(odd, 0).length, 10, 'any ten bytes are ten characters');
  t.end();
});

t.test(`${FUZZED} random and mutated packets are taken or refused, and nothing else`, (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const seen = new Map<string | undefined, number>();
  // The same packet between zeros and between ones: what is read beyond it would make a difference.
  const zeros = Buffer.alloc(300);
  const ones = Buffer.alloc(300, 0xff);
  for (let i = 0; i < FUZZED; i++) {
    const length = writeRandom(random, zeros, 100);
    zeros.copy(ones, 100, 100, 100 + length);
    for (const check of [checkPacket, checkRequest]) {
      const code = codeOf(check, zeros, 100, length);
      seen.set(code, (seen.get(code) ?? 0) + 1);
      let wrong = codeOf(check, ones, 100, length) === code ? '' : 'depends on what lies around it';
      if (i % 16 === 0) wrong ||= judge(check, Buffer.from(zeros.subarray(100, 100 + length)), code);
      if (!wrong) continue;
      t.fail(
        `${wrong}: ${check.name}, ${code}, ${zeros.toString('hex', 100, 100 + length)}, SEED=${random.seed}`,
      );
      return t.end();
    }
    zeros.fill(0, 100, 100 + length);
    ones.fill(0xff, 100, 100 + length);
  }
  t.comment(Object.fromEntries(seen));
  t.equal(seen.size, 7, 'every way to be wrong came up, and being right');
  t.end();
});

/** Writes a packet of up to 120 bytes: anything, or one with little wrong. @returns its length */
function writeRandom(random: Random, into: Buffer, offset: number): number {
  const kind = random.integer(0, 9);
  let end = offset + HEADER;
  if (kind === 0) {
    end = offset + random.integer(0, 60);
    for (let at = offset; at < end; at++) into[at] = random.integer(0, 255);
    return end - offset;
  }
  const count = random.pick([0, 1, 1, 2, 5]);
  writeHeader(into, offset, SESSION, random.pick([0, 1, 2 ** 32, MOST - 3, MOST]), count);
  if (kind === 1) into.writeUInt16BE(END_OF_SESSION, offset + 18);
  else if (kind > 2)
    for (let i = 0; i < count; i++) {
      const length = random.integer(0, 18);
      into.writeUInt16BE(length, end);
      end += 2 + length;
    }
  if (kind >= 8) end += random.integer(-22, 3);
  if (kind % 2 === 0) into[random.integer(offset, end - 1)] = random.integer(0, 255);
  return Math.max(0, end - offset);
}

/** What is wrong with this verdict, by a second opinion on a buffer that ends with the packet. */
function judge(check: Check, bytes: Buffer, code: string | undefined): string {
  if (codeOf(check, bytes) !== code) return 'depends on the buffer';
  const good = check === checkPacket ? isPacket(bytes) : isRequest(bytes);
  return good === (code === undefined) ? '' : 'wrong';
}

function isPacket(bytes: Buffer): boolean {
  if (bytes.length < 20) return false;
  const written = bytes.readUInt16BE(18);
  const count = written === 0xffff ? 0 : written;
  if (bytes.readBigUInt64BE(10) + BigInt(count || 1) - 1n > BigInt(MOST)) return false;
  let rest = bytes.subarray(20);
  for (let i = 0; i < count; i++) {
    if (rest.length < 2 || rest.length < 2 + rest.readUInt16BE(0)) return false;
    rest = rest.subarray(2 + rest.readUInt16BE(0));
  }
  return rest.length === 0;
}

function isRequest(bytes: Buffer): boolean {
  if (bytes.length !== 20) return false;
  const first = bytes.readBigUInt64BE(10);
  const count = bytes.readUInt16BE(18);
  return count > 0 && first > 0n && first + BigInt(count) - 1n <= BigInt(MOST);
}
