import {
  ChunkedDecoder,
  normalPath,
  otherReading,
  parseForwarded,
  parseHttpDate,
  Rejection,
  RequestParser,
  ResponseParser,
} from 'mproxy-http';
import t from 'tap';
import { Random } from '../support/random.js';
import { fieldLines } from './fuzz.js';

const ROUNDS = 100_000;

t.test('any bytes: no exception, and what is rejected is rejected with a reason', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const starts = [
    '',
    'GET ',
    'GET / HTTP/1.1\r\n',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 ',
    'OPTIONS * HTTP/1.0\r\n',
    'GET http://',
  ];
  const statuses = new Set<number>();
  for (let round = 0; round < ROUNDS; round++) {
    const rest = random.next() < 0.5 ? fieldLines(random) : random.bytes(random.integer(0, 60));
    const bytes = Buffer.concat([Buffer.from(random.pick(starts)), rest]);
    const request = new RequestParser().parse(bytes, 0, bytes.length);
    const response = new ResponseParser().parse(
      bytes,
      0,
      bytes.length,
      random.pick(['GET', 'HEAD', 'CONNECT']),
    );
    for (const head of [request, response]) {
      if (head instanceof Rejection) {
        statuses.add(head.status);
        if (!/^[\w ,.`/-]+$/.test(head.reason)) t.fail(head.reason);
      } else if (head && (head.headEnd > bytes.length || [...head.fields].length > 100)) t.fail(String(head));
    }
    const decoder = new ChunkedDecoder();
    let data = 0;
    decoder.feed(rest, 0, rest.length, { onData: (piece) => (data += piece.length) });
    if (data > rest.length) t.fail(`${data} of ${rest.length}`);
  }
  t.strictSame([...statuses].sort(), [400, 502]);
  t.end();
});

t.test('any path, Forwarded and date: no exception; a normal path stays normal', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const parts = [
    '/',
    '.',
    '..',
    '%2e',
    '%2F',
    '%5c',
    '\\',
    ';',
    '//',
    'a',
    '%25',
    '%',
    '2f',
    '%41',
    '%00',
    '\xe9',
  ];
  let normals = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const path = `/${Array.from({ length: random.integer(0, 8) }, () => random.pick(parts)).join('')}`;
    const normal = normalPath(path);
    if (typeof normal === 'string') {
      normals++;
      if (normalPath(normal) !== normal || !normal.startsWith('/')) t.fail(`${path}: ${normal}`);
      const other = otherReading(normal);
      const segments = (other ?? normal).split('/');
      if (segments.includes('..') || segments.includes('.') || (other ?? normal).includes('//'))
        t.fail(`${path}: ${other}`);
    }
    const text = random.bytes(random.integer(0, 40)).toString('latin1');
    parseForwarded(`for="${text}`);
    parseHttpDate(text);
  }
  t.ok(normals > ROUNDS / 10, `${normals} are normal`);
  t.end();
});
