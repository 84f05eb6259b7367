import { checkPacket, countOf, END_OF_SESSION, Packer, PacketStore, sequenceOf } from 'mproxy-mold';
import t from 'tap';
import { Random } from '../support/random.js';
import { messagesOf, packet, SESSION, spell } from './packets.js';

const NEWLINE = 0x0a;
const STORE = 256 * 1024;
const ROUNDS = 600;
/** The largest message: 65,507 bytes of payload, less a header of 20 and a length of 2. */
const MOST = 65_485;

/** A packer, and copies of what it emitted. */
function make(payload: number, store = new PacketStore(STORE)): { packer: Packer; out: Buffer[] } {
  const out: Buffer[] = [];
  const emit = (offset: number, length: number) =>
    out.push(Buffer.from(store.slab.subarray(offset, offset + length)));
  return { packer: new Packer(store, SESSION, payload, emit), out };
}

const x = (count: number) => 'x'.repeat(count);
/** Long runs in short: `x*70`. */
const brief = (text: string) => text.replaceAll('\n', '$').replace(/x{10,}/g, (run) => `x*${run.length}`);

type Step = { lines: string } | { message: string } | 'FLUSH';
interface Row {
  what: string;
  /** Default 32: one message of 10 bytes, or two of 4. */
  payload?: number;
  in: Step[];
  out: string[];
}

const rows: Row[] = [
  { what: 'a message a line', in: [{ lines: 'a\nb\n\n' }, 'FLUSH'], out: ['1: a$ b$ $'] },
  {
    what: 'as many lines as fit, to the last byte',
    in: [{ lines: 'aaa\nbbb\nccc\nd\ne\n' }, 'FLUSH'],
    out: ['1: aaa$ bbb$', '3: ccc$ d$', '5: e$'],
  },
  {
    what: 'a line a byte too long for what is left',
    in: [{ lines: 'aaa\nbbbb\nc\n' }, 'FLUSH'],
    out: ['1: aaa$', '2: bbbb$ c$'],
  },
  { what: 'a line that fills a packet', in: [{ lines: '123456789\n' }, 'FLUSH'], out: ['1: 123456789$'] },
  {
    what: 'a line a byte longer, as two messages',
    in: [{ lines: '1234567890\nb\n' }, 'FLUSH'],
    out: ['1: 1234567890', '2: $ b$'],
  },
  {
    what: 'a long line, in packets of its own but for its end',
    in: [{ lines: 'a\n12345678901234567890123\nb\n' }, 'FLUSH'],
    out: ['1: a$', '2: 1234567890', '3: 1234567890', '4: 123$ b$'],
  },
  {
    what: 'what follows the last newline, as a message',
    in: [{ lines: 'a\nb' }, { lines: 'c\n' }, 'FLUSH'],
    out: ['1: a$ b c$'],
  },
  { what: 'no bytes', in: [{ lines: '' }, 'FLUSH'], out: [] },
  { what: 'nothing before the packet is full', in: [{ lines: 'a\n' }], out: [] },
  {
    what: 'a flush',
    in: [{ lines: 'a\n' }, 'FLUSH', 'FLUSH', { lines: 'b\n' }, 'FLUSH'],
    out: ['1: a$', '2: b$'],
  },
  {
    what: 'bytes that only look like newlines when they are added up',
    payload: 100,
    in: [{ lines: '\x0b\n\x0b\x09\n\n\x8a\x0a\xff\x00\n' }, 'FLUSH'],
    out: ['1: \x0b$ \x0b\x09$ $ \x8a$ \xff\x00$'],
  },
  {
    what: 'messages as they are',
    in: [{ message: 'a\nb' }, { message: '' }, { message: 'cc' }, { message: 'd' }, 'FLUSH'],
    out: ['1: a$b  cc', '4: d'],
  },
  {
    what: 'a message larger than a packet should be, alone in one at once',
    in: [{ message: 'a' }, { message: x(11) }, { message: 'b' }, 'FLUSH'],
    out: ['1: a', '2: x*11', '3: b'],
  },
  { what: 'such a message without waiting for more', in: [{ message: x(11) }], out: ['1: x*11'] },
  { what: 'the largest message', in: [{ message: x(MOST) }, 'FLUSH'], out: [`1: x*${MOST}`] },
  {
    what: 'a message larger than any packet, as several',
    in: [{ message: x(2 * MOST + 3) }, { lines: 'a\n' }, 'FLUSH'],
    out: [`1: x*${MOST}`, `2: x*${MOST}`, '3: xxx a$'],
  },
  {
    what: 'lines and messages in turn',
    in: [{ lines: 'a\n' }, { message: 'b' }, { lines: 'c\nd\n' }, 'FLUSH'],
    out: ['1: a$ b c$', '4: d$'],
  },
  {
    what: 'the smallest packets',
    payload: 23,
    in: [{ lines: 'a\nb\n' }, 'FLUSH'],
    out: ['1: a', '2: $', '3: b', '4: $'],
  },
];

for (const row of rows) {
  t.test(`packs ${row.what}`, (t) => {
    const { packer, out } = make(row.payload ?? 32);
    for (const step of row.in) {
      const bytes = Buffer.from(
        step === 'FLUSH' ? '' : 'lines' in step ? step.lines : step.message,
        'latin1',
      );
      if (step === 'FLUSH') packer.flush();
      else if ('lines' in step) packer.lines(bytes, 0, bytes.length);
      else packer.message(bytes, 0, bytes.length);
    }
    t.strictSame(out.map(spell).map(brief), row.out);
    t.end();
  });
}

t.test('heartbeats and the end tell the next number, and leave nothing open', (t) => {
  const { packer, out } = make(100);
  t.equal(packer.next, 1);
  t.strictSame(packer.heartbeat(), packet(1, []));
  packer.lines(Buffer.from('a\nb\n'), 0, 4);
  t.equal(packer.next, 3);
  t.strictSame(packer.heartbeat(), packet(3, []));
  t.strictSame(out, [packet(1, ['a\n', 'b\n'])], 'what was open went first');
  packer.message(Buffer.from('c'), 0, 1);
  t.strictSame(packer.end(), packet(4, [], END_OF_SESSION));
  t.strictSame(out.slice(1), [packet(3, ['c'])]);
  t.end();
});

t.test('a payload that no message fits, or no datagram carries, is refused', (t) => {
  for (const payload of [22, 65_508, Number.NaN]) t.throws(() => make(payload), RangeError, `${payload}`);
  t.end();
});

t.test('any input in any pieces comes back, in packets as full as can be', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < ROUNDS; round++) {
    const input = makeInput(random);
    const payload = random.pick([23, random.integer(24, 60), 1472, 8096, random.integer(23, 65_507), 65_507]);
    const store = new PacketStore(STORE);
    const { packer, out } = make(payload, store);
    const wrong = feed(random, packer, input) ?? check(out, input, payload, packer.next);
    if (!wrong) continue;
    t.fail(`${wrong}: payload ${payload}, ${input.length} bytes, round ${round}, SEED=${random.seed}`);
    return t.end();
  }
  t.pass(`${ROUNDS} inputs`);
  t.end();
});

/** Lines of all lengths and all bytes, many of them close to a newline; some without a newline at the end. */
function makeInput(random: Random): Buffer {
  const longest = random.pick([0, 3, 80, 3000]);
  const parts = Array.from({ length: random.integer(0, longest > 1000 ? 20 : 200) }, () => {
    const bytes = Buffer.alloc(random.integer(0, longest) + 1, random.bytes(random.integer(1, 97)));
    for (let i = 0; i < bytes.length; i += random.integer(1, 9))
      bytes[i] = random.pick([8, 9, 10, 11, 13, 0x8a]);
    bytes[bytes.length - 1] = NEWLINE;
    return bytes;
  });
  if (random.next() < 0.1) parts.push(Buffer.alloc(random.integer(1, 70_000), 'y'));
  return Buffer.concat(parts);
}

/** Pieces of the input, each somewhere in a buffer of its own. @returns what is wrong */
function feed(random: Random, packer: Packer, input: Buffer): string | undefined {
  const largest = random.pick([3, 100, 5000, 1_000_000]);
  const flushes = random.next() < 0.5;
  for (let at = 0; at < input.length; ) {
    const length = Math.min(input.length - at, random.integer(0, largest));
    const before = random.integer(0, 5);
    // Newlines around the piece: reading one of them would end a message too early or too late.
    const chunk = Buffer.alloc(before + length + random.integer(0, 5), NEWLINE);
    input.copy(chunk, before, at, at + length);
    const copy = Buffer.from(chunk);
    if (random.next() < 0.8) packer.lines(chunk, before, length);
    else packer.message(chunk, before, length);
    if (!chunk.equals(copy)) return 'the input was written to';
    at += length;
    if (flushes && random.next() < 0.2) packer.flush();
  }
  packer.flush();
  return undefined;
}

/** What is wrong with these packets; undefined if nothing is. */
function check(out: Buffer[], input: Buffer, payload: number, end: number): string | undefined {
  let next = 1;
  for (const bytes of out) {
    checkPacket(bytes, 0, bytes.length);
    const count = countOf(bytes, 0);
    if (sequenceOf(bytes, 0) !== next || count === 0) return `number ${sequenceOf(bytes, 0)}, not ${next}`;
    if (bytes.length > payload && count > 1) return `a packet of ${bytes.length} bytes`;
    next += count;
  }
  if (next !== end) return `ends at ${next}, not ${end}`;
  const messages = out.flatMap(messagesOf);
  return Buffer.concat(messages).equals(input) ? undefined : 'other bytes';
}

t.test('whole lines are one message each, and no packet leaves room for the next', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < ROUNDS; round++) {
    const payload = random.integer(60, 300);
    const lines = Array.from({ length: 100 }, () => makeLine(random, random.integer(1, payload - 22)));
    const { packer, out } = make(payload);
    for (let at = 0, count = 0; at < lines.length; at += count) {
      count = random.integer(1, 20);
      const chunk = Buffer.from(lines.slice(at, at + count).join(''), 'latin1');
      packer.lines(chunk, 0, chunk.length);
    }
    packer.flush();
    const got = out.flatMap(messagesOf).map((message) => message.toString('latin1'));
    const same = got.length === lines.length && got.every((message, i) => message === lines[i]);
    const roomy = out.slice(1).some((one, i) => out[i]!.length + 2 + messagesOf(one)[0]!.length <= payload);
    if (same && !roomy) continue;
    const wrong = same ? 'room is left' : 'other messages';
    t.fail(`${wrong}, payload ${payload}, round ${round}, SEED=${random.seed}`);
    return t.end();
  }
  t.pass(`${ROUNDS} inputs`);
  t.end();
});

/** A line of so many bytes, its newline with it; the others are any but a newline, many of them close to one. */
function makeLine(random: Random, length: number): string {
  const others = '\x00\x09\x0b\x1a\x7f\x80\x8a\x8b\xf5\xff';
  const bytes = Array.from({ length: length - 1 }, () => others[random.integer(0, others.length - 1)]);
  return `${bytes.join('')}\n`;
}
