import { createCutter, FRAMES, type Frame } from 'mproxy-framing';
import t from 'tap';
import { Random } from '../support/random.js';

/** The largest UDP payload over IPv4. */
const MAX_DATAGRAM = 65_507;
const NEWLINE = 0x0a;
const ROUNDS = 400;

t.test('any input in any pieces comes back byte for byte, and no line is torn', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < ROUNDS; round++) {
    const whole = makeInput(random);
    const payload = random.pick([
      1,
      random.integer(2, 100),
      1472,
      8096,
      random.integer(1, MAX_DATAGRAM),
      MAX_DATAGRAM,
    ]);
    const largestChunk = random.pick([whole.length < 50_000 ? 1 : 100, 1500, 65_536, 200_000]);
    for (const frame of FRAMES) {
      // A hundred thousand datagrams of a byte or two would show nothing more.
      const input = frame === 'raw' && payload < 100 ? whole.subarray(0, 100 * payload) : whole;
      const flushes = random.next() < 0.5;
      const datagrams = cutAtRandom(random, frame, payload, input, largestChunk, flushes);
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
    const input = makeInput(random);
    for (const frame of FRAMES) {
      const out: Buffer[] = [];
      const cutter = createCutter(frame, random.integer(1, 3000), (slab, offset, length, count) =>
        out.push(slab.subarray(offset, offset + length * count)),
      );
      cutter.push(input);
      if (random.next() < 0.5) cutter.flush();
      const open = input.length > 0 && input.at(-1) !== NEWLINE;
      const added = cutter.breakOff();
      const expected = frame !== 'raw' && open ? Buffer.concat([input, Buffer.of(NEWLINE)]) : input;
      if (added === (frame !== 'raw' && open) && Buffer.concat(out).equals(expected)) continue;
      t.fail(`${frame}, ${input.length} bytes, round ${round}, SEED=${random.seed}`);
      return t.end();
    }
  }
  t.pass(`${ROUNDS} inputs`);
  t.end();
});

/** Lines of all lengths, of all bytes, few longer than a datagram can be; some without a newline at the end. */
function makeInput(random: Random): Buffer {
  const parts: Buffer[] = [];
  const longest = random.pick([0, 3, 80, 3000, 20_000]);
  const lines = longest > 1000 ? random.integer(0, 30) : random.integer(0, 300);
  for (let i = 0; i < lines; i++) {
    const around = random.next() < 0.02 ? random.integer(-2, 2) + MAX_DATAGRAM * random.integer(1, 2) : 0;
    parts.push(content(random, around || random.integer(0, longest)), Buffer.of(NEWLINE));
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
): Buffer[] {
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
  return datagrams;
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
  let lineLength = 0;
  for (const [i, datagram] of datagrams.entries()) {
    const last = i === datagrams.length - 1;
    const newline = datagram.indexOf(NEWLINE);
    const inside = newline >= 0 && newline < datagram.length - 1;
    if (datagram.length === 0) return 'an empty datagram';
    if (datagram.length > MAX_DATAGRAM) return `a datagram of ${datagram.length} bytes`;
    if (frame === 'raw') {
      if (datagram.length !== payload && !(last && datagram.length < payload))
        return 'a piece that is not full';
      continue;
    }
    if (frame === 'line' && inside) return 'two lines in one datagram';
    if (frame === 'lines' && datagram.length > payload && inside) return 'more than a datagram should hold';
    lineLength =
      newline < 0 ? lineLength + datagram.length : datagram.length - 1 - datagram.lastIndexOf(NEWLINE);
    const torn = !last && datagram.at(-1) !== NEWLINE;
    if (torn && datagram.length !== MAX_DATAGRAM) return 'a torn line';
    if (torn && (lineLength % MAX_DATAGRAM !== 0 || input.length <= MAX_DATAGRAM))
      return 'a line cut at a wrong place';
    if (frame === 'lines' && !flushed && !last && roomForNext(datagram, datagrams[i + 1]!, payload)) {
      // At the end alone an unfinished line goes by itself, behind whole ones that it would have fitted to.
      if (i + 2 < datagrams.length) return 'a datagram with room for one line more';
    }
  }
  return undefined;
}

function roomForNext(datagram: Buffer, next: Buffer, payload: number): boolean {
  const first = next.indexOf(NEWLINE) + 1 || next.length;
  return datagram.at(-1) === NEWLINE && datagram.length + first <= payload;
}
