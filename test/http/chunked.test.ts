import { ChunkedDecoder, chunkHeader, Fields, LAST_CHUNK, lastChunk, writeChunkHeader } from 'mproxy-http';
import t from 'tap';
import { Random } from '../support/random.js';

interface Decoded {
  data: string;
  used: number;
  done: boolean;
  rejection: string | undefined;
  trailers: [string, string][];
}

/** Decodes pieces. */
function decode(pieces: Uint8Array[], extra?: number): Decoded {
  const decoder = extra === undefined ? new ChunkedDecoder() : new ChunkedDecoder({ extra });
  let data = '';
  let used = 0;
  const sink = { onData: (bytes: Uint8Array) => (data += Buffer.from(bytes).toString('latin1')) };
  for (const piece of pieces) {
    const padded = Buffer.concat([Buffer.from('\n\n'), piece, Buffer.from('\r\n')]);
    used += decoder.feed(padded, 2, 2 + piece.length, sink) - 2;
  }
  const rejection = decoder.rejection && `${decoder.rejection.status} ${decoder.rejection.reason}`;
  return { data, used, done: decoder.done, rejection, trailers: [...(decoder.trailers ?? [])] };
}

/** A body, and what becomes of it: its data, or the reason of a 400. */
const SIZE = 'invalid chunk size';
const LARGE = 'chunk size too large';
const LINE = 'chunk line without CRLF';
const DATA = 'chunk data without CRLF';
const EXTENSION = 'invalid chunk extension';

const valid: Record<string, [string, string]> = {
  'no data': ['0\r\n\r\n', ''],
  'a chunk': ['5\r\nhello\r\n0\r\n\r\n', 'hello'],
  chunks: ['5\r\nhello\r\n06\r\n world\r\n000\r\n\r\n', 'hello world'],
  'digits of any case': ['a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n', '01234567890123456789'],
  'CRLF within data': ['4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n'],
  'sixteen digits': ['0000000000000001\r\na\r\n0\r\n\r\n', 'a'],
  extensions: ['1;a\r\na\r\n1;a=b;c="d;\\"\te"\r\nb\r\n0;e\r\n\r\n', 'ab'],
};
const invalid: Record<string, [string, string]> = {
  'no size': ['\r\n', SIZE],
  'a size of no digits': ['g\r\n', SIZE],
  'a sign': ['+1\r\na\r\n', SIZE],
  'a negative size': ['-1\r\n', SIZE],
  '0x': ['0x1\r\na\r\n', SIZE],
  'a space before it': [' 1\r\na\r\n', SIZE],
  'a space behind it': ['1 \r\na\r\n', SIZE],
  'a tab behind it': ['1\t\r\na\r\n', SIZE],
  'a space before an extension': ['1 ;a\r\na\r\n', SIZE],
  '2^53': ['20000000000000\r\n', LARGE],
  'seventeen digits': ['00000000000000001\r\na\r\n', LARGE],
  'a size that wraps at 2^64': ['10000000000000001\r\na\r\n', LARGE],
  'an LF without CR': ['1\na\r\n', LINE],
  'a CR without LF': ['1\ra\r\n', LINE],
  'two CRs': ['1\r\r\na\r\n', LINE],
  'data longer than its size': ['1\r\nab\r\n', DATA],
  'data without CR': ['1\r\na\n0\r\n\r\n', DATA],
  'data without LF': ['1\r\na\rb', DATA],
  'no CRLF behind data': ['1\r\na0\r\n\r\n', DATA],
  'an empty extension': ['1;\r\na\r\n', EXTENSION],
  'two semicolons': ['1;;a\r\na\r\n', EXTENSION],
  'a space in an extension': ['1; a\r\na\r\n', EXTENSION],
  'no name': ['1;=a\r\na\r\n', EXTENSION],
  'no value': ['1;a=\r\na\r\n', EXTENSION],
  'an open quote': ['1;a="b\r\na\r\n', EXTENSION],
  'an escape at the end': ['1;a="b\\\r\na\r\n', EXTENSION],
  'something behind a quote': ['1;a="b"c\r\na\r\n', EXTENSION],
  'an LF in an extension': ['1;a\nb\r\na\r\n', LINE],
  'a CR in an extension': ['1;a\rb\r\na\r\n', LINE],
  'an LF in a quote': ['1;a="\n"\r\na\r\n', LINE],
  'NUL in an extension': ['1;a\0\r\na\r\n', EXTENSION],
  'a trailer without a name': ['0\r\n: a\r\n\r\n', 'invalid field name'],
  'a folded trailer': ['0\r\nA: b\r\n c\r\n\r\n', 'folded field line'],
  'a trailer without CR': ['0\r\nA: b\n\r\n', 'field line without CRLF'],
  'an LF as the last line': ['0\r\n\n', 'field line without CRLF'],
  'NUL in a trailer': ['0\r\nA: \0\r\n\r\n', 'invalid field value'],
};

function eachCut(text: string, check: (decoded: Decoded, how: string) => void): void {
  const bytes = Buffer.from(text, 'latin1');
  check(decode([bytes]), 'whole');
  check(decode([...bytes].map((byte) => Buffer.of(byte))), 'in single bytes');
  for (let at = 1; at < bytes.length; at++)
    check(decode([bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`);
}

t.test('valid bodies, with what follows them', (t) => {
  for (const [name, [body, data]] of Object.entries(valid)) {
    eachCut(`${body}GET /`, (decoded, how) => {
      const expected: Decoded = { data, used: body.length, done: true, rejection: undefined, trailers: [] };
      if (how === 'whole' || JSON.stringify(decoded) !== JSON.stringify(expected))
        t.match(decoded, { ...expected, used: decoded.used }, `${name}, ${how}`);
    });
    t.equal(decode([Buffer.from(`${body}GET /`)]).used, body.length, `${name}: where it ends`);
    for (let end = 0; end < body.length; end++)
      t.notOk(decode([Buffer.from(body.slice(0, end))]).done, `${name}: incomplete after ${end}`);
  }
  t.end();
});

t.test('invalid bodies', (t) => {
  for (const [name, [body, reason]] of Object.entries(invalid)) {
    eachCut(body, (decoded, how) => {
      t.match(decoded, { done: false, rejection: `400 ${reason}` }, `${name}, ${how}`);
    });
  }
  t.end();
});

t.test('trailers', (t) => {
  const body = '1\r\na\r\n0\r\nX-Sum: 1\r\nEmpty:\r\nX-Sum: 2 \r\n\r\n';
  eachCut(`${body}GET`, ({ trailers, done }, how) => {
    const expected = [
      ['x-sum', '1'],
      ['empty', ''],
      ['x-sum', '2'],
    ];
    t.strictSame([trailers, done], [expected, true], how);
  });
  t.equal(decode([Buffer.from(`${body}GET`)]).used, body.length);
  const dropped = [
    'Content-Length: 1',
    'Transfer-Encoding: chunked',
    'Host: a',
    'Authorization: b',
    'Cookie: c',
  ];
  const dropped2 = [
    'X_Forwarded_For: d',
    'X-Forwarded-Any: e',
    'Trailer: f',
    'Cache-Control: g',
    'Range: h',
    'Set-Cookie: i',
  ];
  const lines = [...dropped, ...dropped2].map((line) => `${line}\r\n`).join('');
  const all = decode([Buffer.from(`0\r\n${lines}Kept: 1\r\n\r\n`)]);
  t.strictSame(all.trailers, [['kept', '1']]);
  const none = new ChunkedDecoder();
  const bytes = Buffer.from(`0\r\n${lines}\r\n`);
  t.equal(none.feed(bytes, 0, bytes.length, { onData: () => {} }), bytes.length);
  t.strictSame([none.done, none.trailers], [true, undefined], 'none is left');
  t.end();
});

t.test('limits of extensions and trailers', (t) => {
  const reasonOf = (text: string, extra?: number) => decode([Buffer.from(text)], extra).rejection;
  t.equal(reasonOf('1;abc\r\na\r\n0\r\n\r\n', 4), undefined);
  t.equal(reasonOf('1;abcd\r\na\r\n0\r\n\r\n', 4), '400 chunk extensions too long');
  t.equal(reasonOf('1;a\r\na\r\n1;bc\r\n', 4), '400 chunk extensions too long', 'of all chunks');
  t.equal(reasonOf('0\r\nA: bc\r\n\r\n', 7), undefined);
  t.equal(reasonOf('0\r\nA: bcd\r\n\r\n', 7), '400 trailers too long');
  t.equal(reasonOf(`0\r\nA: ${'b'.repeat(20_000)}`), '400 trailers too long');
  t.equal(reasonOf(`1;${'a'.repeat(16_384)}\r\n`), '400 chunk extensions too long');
  t.equal(reasonOf(`0\r\n${'A: b\r\n'.repeat(101)}\r\n`), '431 too many fields');
  t.end();
});

t.test('a sink that pauses gets no more within the call', (t) => {
  const decoder = new ChunkedDecoder();
  const bytes = Buffer.from('1\r\na\r\n1\r\nb\r\n0\r\n\r\n');
  const got: string[] = [];
  const sink = {
    onData(data: Uint8Array) {
      got.push(String(data));
      decoder.pause();
    },
  };
  let at = decoder.feed(bytes, 0, bytes.length, sink);
  t.strictSame(got, ['a']);
  at = decoder.feed(bytes, at, bytes.length, sink);
  t.strictSame(got, ['a', 'b']);
  t.equal(decoder.feed(bytes, at, bytes.length, sink), bytes.length);
  t.ok(decoder.done);
  t.end();
});

t.test('what is encoded is decoded again', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < 300; round++) {
    const chunks = Array.from({ length: random.integer(0, 5) }, () => random.bytes(random.integer(1, 300)));
    const trailers = random.next() < 0.5 ? Fields.of({ 'x-sum': 'a', 'x-two': 'b' }) : undefined;
    const encoded = Buffer.concat([
      ...chunks.flatMap((chunk) => [chunkHeader(chunk.length), chunk, Buffer.from('\r\n')]),
      lastChunk(trailers),
    ]);
    const cut = random.integer(0, encoded.length);
    const decoded = decode([encoded.subarray(0, cut), encoded.subarray(cut)]);
    t.strictSame(
      decoded,
      {
        data: Buffer.concat(chunks).toString('latin1'),
        used: encoded.length,
        done: true,
        rejection: undefined,
        trailers: [...(trailers ?? [])],
      },
      `round ${round}`,
    );
  }
  const header = Buffer.alloc(20);
  t.equal(header.toString('latin1', 1, writeChunkHeader(header, 1, 65_535)), 'ffff\r\n');
  t.equal(String(LAST_CHUNK), '0\r\n\r\n');
  t.end();
});
