import t from 'tap';
import { Random } from '../support/random.js';
import { changedByCuts, PARTIAL, SCANNERS, whole } from './exchange.js';
import { Llhttp } from './llhttp.js';

const ROUNDS = 30_000;

const FRAMING = [
  'Content-Length: 5',
  'Content-Length: 5',
  'content-length:0005 ',
  'Content-Length: 5, 5',
  'Content-Length: +5',
  'Content-Length: 99999999999999999999',
  'Content-Length:',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: chunked',
  'transfer-encoding:\tChunked ',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding:',
  'Transfer-Encoding : chunked',
  'Transfer_Encoding: chunked',
  ' Transfer-Encoding: chunked',
];
const OTHERS = [
  'A: b',
  'A:b',
  'A: \t',
  'A: \xe9',
  'A : b',
  'A\t: b',
  ': b',
  'A',
  'A: b\x01',
  'A: b\0',
  ' A: b',
  '\tb',
  'A[]: b',
  'X: a\nB: c',
];
const ENDS = ['\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\r\n'];
const BODIES = [
  '',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '05\r\nhello\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n0;c\r\n\r\n',
  '5\r\nhello\r\n0\r\nX: y\r\n\r\n',
  '5 \r\nhello\r\n0\r\n\r\n',
  '5\nhello\r\n0\r\n\r\n',
  '5\r\nhello0\r\n\r\n',
  '5\r\nhello\n0\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  '5;\r\nhello\r\n0\r\n\r\n',
  '5;a\nb\r\nhello\r\n0\r\n\r\n',
  '100000000000000005\r\nhello\r\n0\r\n\r\n',
  '0\r\nX: y\n\r\n',
  '0\r\n\n',
];
const LINES = {
  request: [
    'POST / HTTP/1.1',
    'POST / HTTP/1.1',
    'POST / HTTP/1.0',
    'POST  / HTTP/1.1',
    'POST / HTTP/1.1 ',
    'POST /a b HTTP/1.1',
    'POST / HTTP/1,1',
    'POST / http/1.1',
    'P@ST / HTTP/1.1',
    'POST /\xe9 HTTP/1.1',
  ],
  response: [
    'HTTP/1.1 200 OK',
    'HTTP/1.1 200 OK',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 204 No Content',
    'HTTP/1.1 304 Not Modified',
    'HTTP/1.1 200',
    'HTTP/1.1  200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 200\tOK',
  ],
};

/** A message that is valid up to some places, and a second one behind it. */
function message(random: Random, kind: 'request' | 'response'): Buffer {
  const end = () => (random.next() < 0.95 ? '\r\n' : random.pick(ENDS));
  let text = (random.next() < 0.7 ? LINES[kind][0]! : random.pick(LINES[kind])) + end();
  const lines = kind === 'request' ? ['Host: h'] : [];
  for (let count = random.integer(0, 2); count > 0; count--) lines.push(random.pick(FRAMING));
  for (let count = random.integer(0, 2); count > 0; count--)
    lines.splice(random.integer(0, lines.length), 0, random.next() < 0.6 ? 'A: b' : random.pick(OTHERS));
  for (const line of lines) text += line + end();
  text += end() + (random.next() < 0.4 ? BODIES[random.integer(1, 2)] : random.pick(BODIES));
  if (random.next() < 0.5)
    text +=
      kind === 'request'
        ? 'GET /second HTTP/1.1\r\nHost: h\r\n\r\n'
        : 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
  const bytes = Buffer.from(text, 'latin1');
  if (random.next() < 0.2) bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
  return bytes;
}

/** No rejection of the bytes that were read: llhttp goes on where the connection has ended. */
const AFTER_CLOSE = 'Data after `Connection: close`';
/** llhttp has a list of methods, and reads CONNECT and upgrades to their end. */
const METHODS =
  /^(Invalid method|Expected space after method|Expected method|Pause on|Expected SOURCE method)/;
/** We read a later HTTP/1 as 1.1. */
const LATER = /HTTP\/1\.[2-9]/;
/** Our rule of RFC 9112, section 5.1, for responses. */
const SPACED = /\r\n[!#$%&'*+.^_`|~\w-]+[ \t]+:/;

/** We judge a line when its LF is there. */
function isWaiting(event: string): boolean {
  return event === PARTIAL || event.startsWith('body so far');
}

for (const kind of ['request', 'response'] as const) {
  t.test(`${kind}s: what llhttp rejects we reject, and what we read it reads alike`, (t) => {
    const llhttp = new Llhttp();
    const random = new Random();
    t.comment(`SEED=${random.seed}`);
    const seen = { both: 0, neither: 0, ours: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = message(random, kind);
      const answer = llhttp.read(kind, bytes);
      const [, scanner] = SCANNERS[round % 2]!;
      const events = whole({ kind, scanner }, bytes);
      if (round % 100 === 0) {
        const changed = changedByCuts({ kind, scanner }, bytes, events);
        if (changed)
          t.fail(`${JSON.stringify(bytes.toString('latin1'))}, ${changed}, ${JSON.stringify(events)}`);
      }
      const isRejected = events.some((event) => event.startsWith('rejected'));
      const text = bytes.toString('latin1');
      const isExempt =
        answer.error !== undefined &&
        (answer.error === AFTER_CLOSE ||
          METHODS.test(answer.error) ||
          LATER.test(text) ||
          (/[^\n]$/.test(text) && isWaiting(events.at(-1)!)) ||
          (kind === 'response' && SPACED.test(text)));
      seen[isRejected ? (answer.error ? 'both' : 'ours') : 'neither']++;
      if (isRejected || isExempt) continue;
      const bodies = events.flatMap(
        (event) => /^body(?: so far)?: (.*?)(?:\[\[.*\]\])?$/s.exec(event)?.[1] ?? [],
      );
      const closes = events.at(-1) === 'closes';
      const theirs = closes ? answer.bodies.slice(0, bodies.length) : answer.bodies;
      const isRead = answer.error === undefined || (closes && answer.complete >= bodies.length);
      if (isRead && JSON.stringify(theirs) === JSON.stringify(bodies)) continue;
      t.strictSame({ bodies, events }, answer, JSON.stringify(text));
      break;
    }
    t.comment(JSON.stringify(seen));
    t.ok(seen.both > 1000 && seen.neither > 1000, JSON.stringify(seen));
    t.end();
  });
}
