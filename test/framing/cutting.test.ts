import { createCutter } from 'mproxy-framing';
import { endsEveryDatagram, FRAMES, type Frame, isFrame } from 'mproxy-framing/frame';
import t from 'tap';

type Step = string | Buffer | 'FLUSH' | 'BREAK';

/** What a cutter emits for these chunks and moments; then it finishes, unless the stream broke off. */
function cut(frame: Frame, payload: number, steps: Step[]): string[] {
  const out: string[] = [];
  const cutter = createCutter(frame, payload, (slab, offset, length, count) => {
    for (let at = offset; at < offset + length * count; at += length)
      out.push(slab.toString('latin1', at, at + length));
  });
  for (const step of steps) {
    if (step === 'FLUSH') cutter.flush();
    else if (step === 'BREAK') cutter.breakOff();
    else cutter.push(Buffer.from(step as string, 'latin1'));
  }
  if (!steps.includes('BREAK')) cutter.finish();
  return out;
}

const x = (count: number) => 'x'.repeat(count);
const most = 65_507;
const brief = (text: string) => (text.length < 50 ? text : `${text.slice(0, 9)}... ${text.length} bytes`);

interface Row {
  what: string;
  frame: Frame;
  payload?: number;
  in: Step[];
  out: string[];
}

const rows: Row[] = [
  { what: 'packs whole lines', frame: 'lines', in: ['aa\nbb\ncc\ndd\n'], out: ['aa\nbb\ncc\n', 'dd\n'] },
  {
    what: 'fills a datagram to the last byte',
    frame: 'lines',
    in: ['1234\n6789\nx\n'],
    out: ['1234\n6789\n', 'x\n'],
  },
  {
    what: 'leaves a line that is a byte too much',
    frame: 'lines',
    in: ['1234\n67890\n'],
    out: ['1234\n', '67890\n'],
  },
  { what: 'keeps empty lines', frame: 'lines', in: ['\n\n\na\n\n'], out: ['\n\n\na\n\n'] },
  {
    what: 'packs across chunks',
    frame: 'lines',
    in: ['a', 'a\nb', 'b\n', 'cccccc\n'],
    out: ['aa\nbb\n', 'cccccc\n'],
  },
  { what: 'sends whole lines when idle', frame: 'lines', in: ['a\nb', 'FLUSH', 'b\n'], out: ['a\n', 'bb\n'] },
  {
    what: 'does not send an unfinished line when idle',
    frame: 'lines',
    in: ['ab', 'FLUSH', 'c\n'],
    out: ['abc\n'],
  },
  { what: 'sends the rest without newline at the end', frame: 'lines', in: ['a\nb'], out: ['a\n', 'b'] },
  {
    what: 'has a long line travel alone',
    frame: 'lines',
    in: [`a\n${x(20)}\nb\n`],
    out: ['a\n', `${x(20)}\n`, 'b\n'],
  },
  {
    what: 'waits for the end of a long line',
    frame: 'lines',
    in: [x(20), 'FLUSH', 'y\n'],
    out: [`${x(20)}y\n`],
  },
  { what: 'keeps carriage returns', frame: 'lines', in: ['a\r\nb\r\n'], out: ['a\r\nb\r\n'] },
  {
    what: 'keeps bytes that are no text',
    frame: 'lines',
    in: ['\0\xff\xfe\n\x80'],
    out: ['\0\xff\xfe\n', '\x80'],
  },
  { what: 'sends nothing for nothing', frame: 'lines', in: ['', 'FLUSH', ''], out: [] },
  {
    what: 'sends the longest line whole',
    frame: 'lines',
    in: [`${x(most - 1)}\na\n`],
    out: [`${x(most - 1)}\n`, 'a\n'],
  },
  { what: 'cuts a line a byte too long', frame: 'lines', in: [`${x(most)}\na\n`], out: [x(most), '\na\n'] },
  { what: 'waits at 65,507 bytes', frame: 'lines', in: [x(most), 'FLUSH'], out: [x(most)] },
  {
    what: 'cuts a very long line',
    frame: 'lines',
    in: [x(2 * most + 3), '\n'],
    out: [x(most), x(most), 'xxx\n'],
  },
  {
    what: 'obeys a payload of one byte',
    frame: 'lines',
    payload: 1,
    in: ['\na\n\n'],
    out: ['\n', 'a\n', '\n'],
  },
  {
    what: 'obeys the largest payload',
    frame: 'lines',
    payload: most,
    in: [x(most), '\n'],
    out: [x(most), '\n'],
  },

  { what: 'sends a line a datagram', frame: 'line', in: ['a\nb\n\nc\n'], out: ['a\n', 'b\n', '\n', 'c\n'] },
  { what: 'sends lines longer than the payload', frame: 'line', in: [`${x(20)}\n`], out: [`${x(20)}\n`] },
  { what: 'waits for a newline', frame: 'line', in: ['a', 'FLUSH', 'b', 'FLUSH', '\n'], out: ['ab\n'] },
  { what: 'sends the rest at the end', frame: 'line', in: ['a\nb'], out: ['a\n', 'b'] },
  {
    what: 'sends the longest line whole',
    frame: 'line',
    in: [`${x(most - 1)}\n`],
    out: [`${x(most - 1)}\n`],
  },
  {
    what: 'cuts a line a byte too long',
    frame: 'line',
    in: [`${x(most)}\na\n`],
    out: [x(most), '\n', 'a\n'],
  },
  {
    what: 'cuts a line that comes in pieces',
    frame: 'line',
    in: [x(most), x(2), '\n'],
    out: [x(most), 'xx\n'],
  },

  {
    what: 'sends every payload bytes',
    frame: 'raw',
    payload: 4,
    in: ['ab\ncdefg\nh'],
    out: ['ab\nc', 'defg', '\nh'],
  },
  {
    what: 'joins small chunks',
    frame: 'raw',
    payload: 4,
    in: ['a', 'b', 'FLUSH', 'c', 'd', 'e'],
    out: ['abcd', 'e'],
  },
  { what: 'ends with a full piece', frame: 'raw', payload: 4, in: ['abcdefgh'], out: ['abcd', 'efgh'] },
  {
    what: 'adds nothing when broken off',
    frame: 'raw',
    payload: 4,
    in: ['abcde', 'BREAK'],
    out: ['abcd', 'e'],
  },

  { what: 'ends an open line', frame: 'lines', in: ['a\nb', 'BREAK'], out: ['a\nb\n'] },
  { what: 'ends an open line', frame: 'line', in: ['a\nb', 'BREAK'], out: ['a\n', 'b\n'] },
  { what: 'adds nothing after a whole line', frame: 'lines', in: ['a\n', 'BREAK'], out: ['a\n'] },
  { what: 'adds nothing after a flushed line', frame: 'lines', in: ['a\n', 'FLUSH', 'BREAK'], out: ['a\n'] },
  { what: 'adds nothing after a whole line', frame: 'line', in: ['a\n', 'BREAK'], out: ['a\n'] },
  { what: 'adds nothing to nothing', frame: 'lines', in: ['BREAK'], out: [] },
  {
    what: 'ends a line with the piece that is left',
    frame: 'lines',
    in: [x(most + 2), 'BREAK'],
    out: [x(most), 'xx\n'],
  },
  {
    what: 'packs whole records',
    frame: 'nul',
    in: ['a\nb\0cc\0dddd\0e\0'],
    out: ['a\nb\0cc\0', 'dddd\0e\0'],
  },
  { what: 'ends an open record', frame: 'nul', in: ['a\0b\n', 'BREAK'], out: ['a\0b\n\0'] },
  { what: 'waits for its delimiter', frame: 'nul', in: ['a\n', 'FLUSH', 'b\0'], out: ['a\nb\0'] },
  { what: 'packs whole records', frame: 'cr', in: ['a\nb\rcc\rdddd\re\r'], out: ['a\nb\rcc\r', 'dddd\re\r'] },
  { what: 'leaves newlines to the next record', frame: 'cr', in: ['a\r\nb\r\n'], out: ['a\r\nb\r', '\n'] },
  { what: 'ends an open record', frame: 'cr', in: ['a\rb', 'BREAK'], out: ['a\rb\r'] },

  {
    what: 'sends a message a datagram',
    frame: 'octet-counted',
    in: ['1 a2 b\n11 0 23456789x'],
    out: ['a', 'b\n', '0 23456789x'],
  },
  {
    what: 'takes counts in pieces',
    frame: 'octet-counted',
    in: ['1', '0', ' ', '012345678', 'FLUSH', '91 x'],
    out: ['0123456789', 'x'],
  },
  {
    what: 'sends the longest message',
    frame: 'octet-counted',
    in: [`65507 ${x(most)}1 a`],
    out: [x(most), 'a'],
  },
  { what: 'discards a longer one', frame: 'octet-counted', in: [`65508 ${x(9)}`, x(100)], out: [] },
  {
    what: 'goes on after a longer one',
    frame: 'octet-counted',
    in: [`65508 ${x(9)}`, x(most - 8), '1 b'],
    out: ['b'],
  },
  { what: 'discards an unfinished one', frame: 'octet-counted', in: ['1 a5 xyz'], out: ['a'] },
  { what: 'discards an unfinished one', frame: 'octet-counted', in: ['1 a5 xyz', 'BREAK'], out: ['a'] },
  { what: 'ends a line of exactly a datagram', frame: 'line', in: [x(most), 'BREAK'], out: [x(most), '\n'] },
];

for (const { what, frame, payload = 10, in: steps, out } of rows) {
  t.test(`${frame} ${what}${steps.includes('BREAK') ? ' when the stream breaks off' : ''}`, (t) => {
    const got = cut(frame, payload, steps);
    // Compared as one value: a difference in 65,507 bytes is not worth printing.
    t.same(got.map(brief), out.map(brief));
    t.ok(got.join('') === out.join(''), 'every byte');
    t.end();
  });
}

t.test('a line of which every byte was sent already is ended by a newline of its own', (t) => {
  for (const frame of ['lines', 'line'] as const) {
    const out: number[] = [];
    const cutter = createCutter(frame, 100, (_slab, _offset, length) => out.push(length));
    cutter.push(Buffer.alloc(most + 1, 'x'));
    cutter.finish();
    t.ok(cutter.breakOff(), `${frame} says that it added one`);
    t.same(out, [most, 1, 1]);
    t.notOk(cutter.breakOff(), `${frame} adds one alone`);
  }
  t.end();
});

t.test('octet-counted: what is discarded is counted', (t) => {
  const cases: [steps: string[], discarded: number][] = [
    [['1 a'], 0],
    [['1 a5 xyz'], 1],
    [['1 a5'], 1],
    [['1 a5 '], 1],
    [[`65508 ${x(most + 1)}1 a`], 1],
    [[`65508 ${x(most)}`], 1],
    [[`65508 ${x(most + 1)}`, `70000 ${x(70_000)}`, '2 a'], 3],
  ];
  for (const [steps, discarded] of cases) {
    const cutter = createCutter('octet-counted', 100, () => undefined);
    for (const step of steps) cutter.push(Buffer.from(step));
    cutter.finish();
    t.equal(cutter.discarded, discarded, brief(steps.join('')));
    t.equal(cutter.pending, 0);
  }
  t.end();
});

t.test('octet-counted: a count that is none is an error with its place, after what came before', (t) => {
  const cases: [input: string, place: number, byte: string][] = [
    ['x', 0, '0x78'],
    ['0 ', 0, '0x30'],
    ['05 abcde', 0, '0x30'],
    ['1 a\n1 b', 3, '0x0a'],
    ['3 abc<13>hello', 5, '0x3c'],
    ['1 a12345678901 ', 13, '0x31'],
    ['1 a-1 b', 3, '0x2d'],
    ['1 a ', 3, '0x20'],
    [`65508 ${x(most + 1)}?`, 65_514, '0x3f'],
  ];
  for (const [input, place, byte] of cases) {
    for (const size of [1, 7, input.length]) {
      const out: string[] = [];
      const cutter = createCutter('octet-counted', 100, (slab, offset, length) =>
        out.push(slab.toString('latin1', offset, offset + length)),
      );
      const push = () => {
        for (let at = 0; at < input.length; at += size) cutter.push(Buffer.from(input.slice(at, at + size)));
      };
      t.throws(
        push,
        { code: 'MPROXY_FRAMING', message: `${byte} at byte ${place} of the stream` },
        brief(input),
      );
      t.equal(out.join(''), input.startsWith('1 a') ? 'a' : input.startsWith('3 abc') ? 'abc' : '');
      cutter.breakOff();
      t.equal(cutter.discarded, input.startsWith('65508') ? 1 : 0, 'the error itself is the report');
    }
  }
  t.end();
});

t.test('a datagram that more input cannot change goes at once', (t) => {
  const early: Record<Frame, [input: string, lengths: number[]]> = {
    lines: ['aaaaaa\nbbbbbb\n', [7]],
    line: ['a\nb', [2]],
    raw: ['0123456789', [10]],
    nul: ['aaaaaa\0bbbbbb\0', [7]],
    cr: ['aaaaaa\rbbbbbb\r', [7]],
    'octet-counted': ['3 abc2 de4 f', [3, 2]],
    mold: ['aaaaaa\n'.repeat(10_000), [65_506]],
  };
  for (const frame of FRAMES) {
    const [input, expected] = early[frame];
    const lengths: number[] = [];
    const cutter = createCutter(frame, 10, (_slab, _offset, length) => lengths.push(length));
    cutter.push(Buffer.from(input));
    t.strictSame(lengths, expected, frame);
  }
  t.end();
});

t.test('what was emitted is never written again', (t) => {
  const kept: { bytes: Buffer; text: string }[] = [];
  const cutter = createCutter('lines', 16, (slab, offset, length) => {
    const bytes = slab.subarray(offset, offset + length);
    kept.push({ bytes, text: String(bytes) });
  });
  for (let i = 0; i < 5000; i++) {
    cutter.push(Buffer.from(i % 7 === 6 ? '\n' : String(i % 10)));
    if (i % 11 === 0) cutter.flush();
  }
  cutter.finish();
  t.ok(kept.every(({ bytes, text }) => String(bytes) === text));
  t.end();
});

t.test('the frames and their names', (t) => {
  t.same(FRAMES, ['lines', 'line', 'raw', 'nul', 'cr', 'octet-counted', 'mold']);
  t.ok(isFrame('raw'));
  for (const name of ['', 'Lines', 'toString', '__proto__', 'mold ']) t.notOk(isFrame(name), name);
  t.same(FRAMES.filter(endsEveryDatagram), ['line']);
  t.end();
});
