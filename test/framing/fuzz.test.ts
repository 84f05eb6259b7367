import { createCutter } from 'mproxy-framing';
import { delimiterOf, FRAMES, type Frame } from 'mproxy-framing/frame';
import t from 'tap';
import { Random } from '../support/random.js';

/** The largest UDP payload over IPv4. */
const MAX_DATAGRAM = 65_507;
const NEWLINE = 0x0a;
const ROUNDS = 400;
/** The frames whose datagrams, joined, give the input. */
const JOINED = FRAMES.filter((frame) => frame !== 'octet-counted');

t.test('any input in any pieces comes back byte for byte, and no line is torn', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < ROUNDS; round++) {
    const whole = makeInput(random, random.pick([NEWLINE, 0x00, 0x0d]));
    const payload = random.pick([
      1,
      random.integer(2, 100),
      1472,
      8096,
      random.integer(1, MAX_DATAGRAM),
      MAX_DATAGRAM,
    ]);
    const largestChunk = random.pick([whole.length < 50_000 ? 1 : 100, 1500, 65_536, 200_000]);
    for (const frame of JOINED) {
      // A hundred thousand datagrams of a byte or two would show nothing more.
      const input = frame === 'raw' && payload < 100 ? whole.subarray(0, 100 * payload) : whole;
      const flushes = random.next() < 0.5;
      const { datagrams } = cutAtRandom(random, frame, payload, input, largestChunk, flushes);
      const wrong = check(frame, payload, input, datagrams, flushes);
      if (wrong) {
        t.fail(
          `${wrong}: ${frame}, payload ${payload}, ${input.length} bytes, round ${round}, SEED=${random.seed}`,
        );
        return t.end();
      }
    }
  }
  t.pass(`${ROUNDS} inputs`);
  t.end();
});

t.test('a stream that breaks off at any place ends with a whole line', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < ROUNDS; round++) {
    const input = makeInput(random, random.pick([NEWLINE, 0x00, 0x0d]));
    for (const frame of JOINED) {
      const end = delimiterOf(frame);
      const out: Buffer[] = [];
      const cutter = createCutter(frame, random.integer(1, 3000), (slab, offset, length, count) =>
        out.push(slab.subarray(offset, offset + length * count)),
      );
      cutter.push(input);
      if (random.next() < 0.5) cutter.flush();
      const open = end !== undefined && input.length > 0 && input.at(-1) !== end;
      const added = cutter.breakOff();
      const expected = open ? Buffer.concat([input, Buffer.of(end)]) : input;
      if (added === open && Buffer.concat(out).equals(expected)) continue;
      t.fail(`${frame}, ${input.length} bytes, round ${round}, SEED=${random.seed}`);
      return t.end();
    }
  }
  t.pass(`${ROUNDS} inputs`);
  t.end();
});

t.test('every frame makes the datagrams that a second implementation makes', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < ROUNDS; round++) {
    const input = makeInput(random, random.pick([NEWLINE, 0x00, 0x0d]));
    const payload = random.pick([random.integer(10, 100), 1472, 8096, MAX_DATAGRAM]);
    for (const frame of JOINED) {
      const { datagrams } = cutAtRandom(random, frame, payload, input, random.pick([100, 65_536]), false);
      const expected = reference(frame, payload, input);
      const same =
        datagrams.length === expected.length &&
        datagrams.every((datagram, i) => datagram.equals(expected[i]!));
      if (same) continue;
      t.fail(`${frame}, payload ${payload}, ${input.length} bytes, round ${round}, SEED=${random.seed}`);
      return t.end();
    }
  }
  t.pass(`${ROUNDS} inputs`);
  t.end();
});

/** The datagrams of an input, made the simple way: record by record. */
function reference(frame: Frame, payload: number, input: Buffer): Buffer[] {
  const end = delimiterOf(frame);
  const records: Buffer[] = [];
  for (let at = 0; at < input.length; ) {
    const found = end === undefined ? -1 : input.indexOf(end, at);
    const whole = end === undefined ? payload : (found < 0 ? input.length : found + 1) - at;
    const next = Math.min(at + Math.min(whole, MAX_DATAGRAM), input.length);
    records.push(input.subarray(at, next));
    at = next;
  }
  if (frame === 'raw' || frame === 'line') return records;
  const room = frame === 'mold' ? MAX_DATAGRAM : payload;
  const datagrams: Buffer[][] = [];
  for (const record of records) {
    const last = datagrams.at(-1) ?? [];
    const size = last.reduce((sum, { length }) => sum + length, 0);
    const fits = size > 0 && size + record.length <= room && last.at(-1)?.at(-1) === end;
    // The unfinished record at the end goes alone.
    if (fits && record.at(-1) === end) last.push(record);
    else datagrams.push([record]);
  }
  return datagrams.map((parts) => Buffer.concat(parts));
}

t.test('octet-counted: any messages in any pieces are one datagram each', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < ROUNDS; round++) {
    const longest = random.pick([1, 80, 3000, 70_000]);
    const messages = Array.from({ length: random.integer(0, longest > 3000 ? 20 : 200) }, () =>
      content(random, random.integer(1, longest)),
    );
    const cut = random.next() < 0.5 ? content(random, random.integer(1, longest)) : undefined;
    const written = messages.flatMap((message) => [Buffer.from(`${message.length} `), message]);
    // A message that the stream ends inside of.
    if (cut) written.push(Buffer.from(`${cut.length + 1} `), cut);
    const input = Buffer.concat(written);
    const largest = random.pick([1, 100, 65_536, 200_000]);
    if (largest === 1 && input.length > 100_000) continue;
    const { datagrams, discarded } = cutAtRandom(random, 'octet-counted', 100, input, largest, true);
    const expected = messages.filter(({ length }) => length <= MAX_DATAGRAM);
    const lost = messages.length - expected.length + (cut ? 1 : 0);
    const right =
      discarded === lost &&
      datagrams.length === expected.length &&
      datagrams.every((datagram, i) => datagram.equals(expected[i]!));
    if (right) continue;
    t.fail(
      `${messages.length} messages, ${discarded} of ${lost} discarded, round ${round}, SEED=${random.seed}`,
    );
    return t.end();
  }
  t.pass(`${ROUNDS} inputs`);
  t.end();
});

/** Records of all lengths, of all bytes, few longer than a datagram can be; some without a delimiter at the end. */
function makeInput(random: Random, end: number): Buffer {
  const parts: Buffer[] = [];
  const longest = random.pick([0, 3, 80, 3000, 20_000]);
  const lines = longest > 1000 ? random.integer(0, 30) : random.integer(0, 300);
  for (let i = 0; i < lines; i++) {
    const around = random.next() < 0.02 ? random.integer(-2, 2) + MAX_DATAGRAM * random.integer(1, 2) : 0;
    parts.push(content(random, around || random.integer(0, longest)), Buffer.of(end));
  }
  if (random.next() < 0.5) parts.push(content(random, random.integer(0, longest)));
  return Buffer.concat(parts);
}

/** Bytes of one line: anything but a newline. */
function content(random: Random, length: number): Buffer {
  const bytes = Buffer.alloc(length, random.bytes(Math.min(length, 97)));
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at)) bytes[at] = 0x0d;
  return bytes;
}

function cutAtRandom(
  random: Random,
  frame: Frame,
  payload: number,
  input: Buffer,
  largestChunk: number,
  flushes: boolean,
): { datagrams: Buffer[]; discarded: number } {
  const datagrams: Buffer[] = [];
  const cutter = createCutter(frame, payload, (slab, offset, length, count) => {
    for (let at = offset; at < offset + length * count; at += length)
      datagrams.push(slab.subarray(at, at + length));
  });
  let at = 0;
  while (at < input.length) {
    // A chunk of its own memory, as a source hands it over; it is the cutter's from then on.
    const chunk = Buffer.from(
      input.subarray(at, at + random.integer(0, largestChunk) + Number(at % 2 === 0)),
    );
    cutter.push(chunk);
    at += chunk.length;
    if (flushes && random.next() < 0.3) cutter.flush();
  }
  cutter.finish();
  return { datagrams, discarded: cutter.discarded };
}

/** What is wrong with these datagrams; undefined if nothing is. */
function check(
  frame: Frame,
  payload: number,
  input: Buffer,
  datagrams: Buffer[],
  flushed: boolean,
): string | undefined {
  if (!Buffer.concat(datagrams).equals(input)) return 'other bytes';
  const end = delimiterOf(frame);
  let lineLength = 0;
  for (const [i, datagram] of datagrams.entries()) {
    const last = i === datagrams.length - 1;
    const newline = end === undefined ? -1 : datagram.indexOf(end);
    const inside = newline >= 0 && newline < datagram.length - 1;
    if (datagram.length === 0) return 'an empty datagram';
    if (datagram.length > MAX_DATAGRAM) return `a datagram of ${datagram.length} bytes`;
    if (end === undefined) {
      if (datagram.length !== payload && !(last && datagram.length < payload))
        return 'a piece that is not full';
      continue;
    }
    if (frame === 'line' && inside) return 'two lines in one datagram';
    if (frame !== 'line' && frame !== 'mold' && datagram.length > payload && inside)
      return 'more than a datagram should hold';
    lineLength = newline < 0 ? lineLength + datagram.length : datagram.length - 1 - datagram.lastIndexOf(end);
    const torn = !last && datagram.at(-1) !== end;
    if (torn && datagram.length !== MAX_DATAGRAM) return 'a torn line';
    if (torn && (lineLength % MAX_DATAGRAM !== 0 || input.length <= MAX_DATAGRAM))
      return 'a line cut at a wrong place';
    const packs = frame !== 'line' && frame !== 'mold' && !flushed && !last;
    if (packs && roomForNext(datagram, datagrams[i + 1]!, payload, end)) {
      // At the end alone an unfinished line goes by itself, behind whole ones that it would have fitted to.
      if (i + 2 < datagrams.length) return 'a datagram with room for one line more';
    }
  }
  return undefined;
}

function roomForNext(datagram: Buffer, next: Buffer, payload: number, end: number): boolean {
  const first = next.indexOf(end) + 1 || next.length;
  return datagram.at(-1) === end && datagram.length + first <= payload;
}
