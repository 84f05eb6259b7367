// Attacks on programs that read a message in two ways, by the names under which they are known, as far as reading alone decides them.
import {
  Fields,
  otherReading,
  type RequestHead,
  RequestParser,
  writeRequestHead,
  writeResponseHead,
} from 'mproxy-http';
import t from 'tap';
import { SCANNERS, whole } from './exchange.js';

const SMUGGLED = 'GET /admin HTTP/1.1\r\nHost: h\r\n\r\n';
const post = (lines: string, body: string) => `POST / HTTP/1.1\r\nHost: h\r\n${lines}\r\n${body}`;

/** Each request is rejected with its head or its body, and nothing behind it is read. */
function rejected(title: string, requests: Record<string, string>, reason?: RegExp): void {
  t.test(title, (t) => {
    for (const [name, scanner] of SCANNERS) {
      for (const [what, text] of Object.entries(requests)) {
        const events = whole({ kind: 'request', scanner }, Buffer.from(text, 'latin1'));
        t.match(events.at(-1), reason ?? /^rejected: 400 /, `${name}: ${what}`);
        t.notMatch(events.join('\n'), /"path":"\/admin"/, 'nothing is smuggled');
      }
    }
    t.end();
  });
}

function heads(text: string): RequestHead[] {
  const bytes = Buffer.from(text, 'latin1');
  const parser = new RequestParser();
  const all: RequestHead[] = [];
  for (let at = 0; at < bytes.length; ) {
    const head = parser.parse(bytes, at, bytes.length) as RequestHead;
    all.push(head);
    at = head.headEnd + (head.contentLength ?? 0);
  }
  return all;
}

rejected(
  'CL.TE and TE.CL: both lengths in one message',
  {
    'Content-Length first': post(
      'Content-Length: 6\r\nTransfer-Encoding: chunked\r\n',
      `0\r\n\r\n${SMUGGLED}`,
    ),
    'Transfer-Encoding first': post(
      'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n',
      `5c\r\n${SMUGGLED}`,
    ),
  },
  /400 Content-Length and Transfer-Encoding/,
);

rejected('CL.CL: two lengths', {
  'that differ': post('Content-Length: 5\r\nContent-Length: 0\r\n', `hello${SMUGGLED}`),
  'in one field': post('Content-Length: 5, 0\r\n', `hello${SMUGGLED}`),
  'of one value': post('Content-Length: 5\r\nContent-Length: 5\r\n', `hello${SMUGGLED}`),
});

rejected('0.CL: a length that only one of two programs sees', {
  'a space before the colon': post('Content-Length : 34\r\n', SMUGGLED),
  'a tab before the colon': post('Content-Length\t: 34\r\n', SMUGGLED),
  'a space before the name': post('A: b\r\n Content-Length: 34\r\n', SMUGGLED),
  'a sign': post('Content-Length: +34\r\n', SMUGGLED),
  'another base': post('Content-Length: 0x22\r\n', SMUGGLED),
  'an exponent': post('Content-Length: 34e0\r\n', SMUGGLED),
  'a length that wraps': post('Content-Length: 18446744073709551650\r\n', SMUGGLED),
  'an underscore': post('Content_Length: 34\r\n', SMUGGLED),
});

const obfuscated: Record<string, string> = {};
for (const field of [
  'Transfer-Encoding : chunked',
  'Transfer-Encoding\t: chunked',
  ' Transfer-Encoding: chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunkedx',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding:\x0bchunked',
  'Transfer-Encoding:\x0cchunked',
  'Transfer-Encoding: \xa0chunked',
  'Transfer-Encoding: chunked\xa0',
  'Transfer-Encoding: chunked\0',
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  'Transfer-Encoding: chunked;q=1',
  'Transfer-Encoding: ,chunked',
  'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding\r\n: chunked',
  'X: y\nTransfer-Encoding: chunked',
  'X: y\rTransfer-Encoding: chunked',
  'Transfer\xadEncoding: chunked',
  'Transfer Encoding: chunked',
  'Transfer_Encoding: chunked',
])
  obfuscated[JSON.stringify(field)] = post(`${field}\r\n`, `0\r\n\r\n${SMUGGLED}`);
rejected('TE.TE: a Transfer-Encoding that only one of two programs sees', obfuscated);

t.test('TE.TE: a coding that is written in another way is the coding', (t) => {
  for (const field of [
    'tRANSFER-eNCODING: cHUNKED',
    'Transfer-Encoding:chunked',
    'Transfer-Encoding:\t chunked \t',
  ]) {
    const [head] = heads(post(`${field}\r\n`, ''));
    t.match(head, { chunked: true, contentLength: undefined }, field);
    t.strictSame([...head!.fields], [], 'and is not passed on as it was');
  }
  t.end();
});

rejected('TE in HTTP/1.0', {
  'is no framing there': `POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
});

const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body);

rejected('TERM.EXT and EXT.TERM: a line end within a chunk extension', {
  'a bare LF ends it for one': chunked(`2;\nxx\r\n4c\r\n0\r\n\r\n${SMUGGLED}`),
  'a bare LF behind a name': chunked(`2;a\nxx\r\n0\r\n\r\n${SMUGGLED}`),
  'a bare CR': chunked(`2;a\rxx\r\n0\r\n\r\n${SMUGGLED}`),
  'a quote over a line end': chunked(`2;a="\r\nxx\r\n0\r\n\r\n${SMUGGLED}`),
});

rejected('TERM.SPILL and SPILL.TERM: what ends chunk data', {
  'one byte': chunked(`5\r\nhello\n0\r\n\r\n${SMUGGLED}`),
  'two other bytes': chunked(`5\r\nhelloXX0\r\n\r\n${SMUGGLED}`),
  nothing: chunked(`5\r\nhello0\r\n\r\n${SMUGGLED}`),
  'an LF as the last line': chunked(`0\r\n\n${SMUGGLED}`),
});

rejected('chunk sizes that are read in two ways', {
  'one that wraps at 2^64': chunked(`10000000000000005\r\nhello\r\n0\r\n\r\n${SMUGGLED}`),
  'one above 2^53': chunked(`FFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n${SMUGGLED}`),
  'a negative one': chunked(`-5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`),
  'a prefix': chunked(`0x5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`),
  'a space behind it': chunked(`5 \r\nhello\r\n0\r\n\r\n${SMUGGLED}`),
  'an underscore': chunked(`0_5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`),
  none: chunked(`;a\r\nhello\r\n0\r\n\r\n${SMUGGLED}`),
});

rejected(
  'obs-fold: a field that continues on the next line',
  {
    'a space': `GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n Content-Length: 34\r\n\r\n${SMUGGLED}`,
    'a tab': `GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\tc\r\n\r\n${SMUGGLED}`,
    'behind the request line': `GET / HTTP/1.1\r\n Host: evil\r\nHost: h\r\n\r\n${SMUGGLED}`,
  },
  /400 folded field line/,
);

rejected('Host confusion', {
  'two fields': 'GET / HTTP/1.1\r\nHost: h\r\nHost: evil\r\n\r\n',
  'a second one with a space before the colon': 'GET / HTTP/1.1\r\nHost: h\r\nHost : evil\r\n\r\n',
  'a second one with a space before it': 'GET / HTTP/1.1\r\nHost: h\r\n Host: evil\r\n\r\n',
  'a list': 'GET / HTTP/1.1\r\nHost: h, evil\r\n\r\n',
  'user information': 'GET / HTTP/1.1\r\nHost: h@evil\r\n\r\n',
  'a port that is none': 'GET / HTTP/1.1\r\nHost: h:80@evil\r\n\r\n',
  'a path': 'GET / HTTP/1.1\r\nHost: h/../evil\r\n\r\n',
  'a fragment': 'GET / HTTP/1.1\r\nHost: evil#h\r\n\r\n',
  NUL: 'GET / HTTP/1.1\r\nHost: h\0evil\r\n\r\n',
  'an escape': 'GET / HTTP/1.1\r\nHost: h%2eevil\r\n\r\n',
  'a zone': 'GET / HTTP/1.1\r\nHost: [::1%25evil]\r\n\r\n',
  'Connection names it': 'GET / HTTP/1.1\r\nHost: h\r\nConnection: Host\r\n\r\n',
  'an authority with user information': 'GET http://h@evil/ HTTP/1.1\r\nHost: h\r\n\r\n',
  'an authority with a backslash': 'GET http://evil\\@h/ HTTP/1.1\r\nHost: h\r\n\r\n',
});

t.test('absolute-form: its authority is the one that is routed and sent', (t) => {
  const [head] = heads('GET http://h/a HTTP/1.1\r\nHost: evil\r\n\r\n');
  t.match(head, { authority: 'h', host: 'h', path: '/a' });
  const target = Buffer.alloc(500);
  const { method, path, query, authority, fields } = head!;
  const end = writeRequestHead(target, 0, method, path, query, authority, fields, undefined);
  t.equal(target.toString('latin1', 0, end), 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n');
  t.end();
});

t.test('Connection stripping: no field of the gateway can be named, since they are added behind', (t) => {
  const [head] = heads(
    'GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Forwarded-For, X-Real-IP\r\nX-Forwarded-For: 1\r\n\r\n',
  );
  t.strictSame([...head!.fields], []);
  head!.fields.append('X-Forwarded-For', '2');
  t.strictSame([...head!.fields], [['x-forwarded-for', '2']]);
  t.end();
});

t.test('path confusion: `..;`, `%2f`, `//`, `\\`: the other reading is known', (t) => {
  const others = [
    '/public/..;/admin',
    '/public/..;a=b/admin',
    '/public/..%2fadmin',
    '/public/..%5cadmin',
    '/public/..\\admin',
    '/public/%2e%2e%2fadmin',
    '/public/%252e%252e/admin',
    '/public/..%252fadmin',
    '//admin',
    '/%2fadmin',
    '/.;/admin',
    '/;a/admin',
    '/admin;a',
    '/%61dmin',
    '/public/../admin',
    '/./admin',
  ];
  for (const path of others) {
    const [head] = heads(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    t.equal(otherReading(head!.path) ?? head!.path, '/admin', path);
  }
  t.end();
});

rejected('path confusion: what no program should read', {
  NUL: 'GET /admin%00.png HTTP/1.1\r\nHost: h\r\n\r\n',
  'a malformed escape': 'GET /%2 HTTP/1.1\r\nHost: h\r\n\r\n',
  'a climb': 'GET /a/../../admin HTTP/1.1\r\nHost: h\r\n\r\n',
  'an escaped climb': 'GET /%2e%2e/admin HTTP/1.1\r\nHost: h\r\n\r\n',
  'a fragment': 'GET /public#/../admin HTTP/1.1\r\nHost: h\r\n\r\n',
  'a space': 'GET /public /admin HTTP/1.1\r\nHost: h\r\n\r\n',
  'a tab': 'GET /public\t/admin HTTP/1.1\r\nHost: h\r\n\r\n',
});

t.test('request splitting by an escaped line end: it stays escaped', (t) => {
  const [head] = heads('GET /a%0d%0aX:%20y?b=%0d%0a HTTP/1.1\r\nHost: h\r\n\r\n');
  t.equal(head!.path, '/a%0D%0AX:%20y');
  t.equal(head!.query, '?b=%0d%0a');
  t.end();
});

t.test('response splitting by field values: none is written', (t) => {
  const fields = Fields.of({ a: 'b' });
  for (const value of ['x\r\nSet-Cookie: y', 'x\n\nHTTP/1.1 200 OK', 'x\r', 'x\0'])
    t.throws(() => fields.set('location', value), RangeError);
  t.throws(() => fields.append('a\r\nb', 'c'), RangeError);
  const target = Buffer.alloc(500);
  const end = writeResponseHead(target, 0, 302, fields, 0, undefined);
  t.equal(target.toString('latin1', 0, end), 'HTTP/1.1 302 Found\r\na: b\r\nContent-Length: 0\r\n\r\n');
  t.end();
});

t.test('two pipelined requests never become three', (t) => {
  const two = `POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}GET /2 HTTP/1.1\r\nHost: h\r\n\r\n`;
  t.strictSame(
    heads(two).map((head) => head.path),
    ['/1', '/2'],
  );
  for (const [, scanner] of SCANNERS) {
    const body = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`;
    const events = whole(
      { kind: 'request', scanner },
      Buffer.from(`${chunked(body)}GET /2 HTTP/1.1\r\nHost: h\r\n\r\n`),
    );
    t.match(events, [/"path":"\/"/, `body: ${SMUGGLED}`, /"path":"\/2"/, 'body: ', 'waits for a head']);
  }
  t.end();
});

t.test(
  'white space in a list: it is read in time that grows with its length, not with the square of it',
  (t) => {
    const spaces = ' '.repeat(30_000);
    const before = process.cpuUsage();
    for (let i = 0; i < 10; i++) {
      for (const name of ['Connection', 'Transfer-Encoding', 'TE', 'Keep-Alive', 'Expect', 'Upgrade']) {
        const text = `GET / HTTP/1.1\r\nHost: h\r\n${name}: a${spaces}b\r\n\r\n`;
        const bytes = Buffer.from(text, 'latin1');
        t.ok(new RequestParser().parse(bytes, 0, bytes.length));
      }
    }
    const { user } = process.cpuUsage(before);
    t.ok(user < 1_000_000, `${user} microseconds of CPU; the square takes ten seconds`);
    t.end();
  },
);
