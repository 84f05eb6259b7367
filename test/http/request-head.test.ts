import { parseRequestHead, type Rejection, type RequestHead, RequestParser } from 'mproxy-http';
import t from 'tap';
import { changedByCuts, SCANNERS, whole } from './exchange.js';

const HOST = 'Host: h\r\n';
const GET = 'GET / HTTP/1.1\r\n';
const POST = `POST / HTTP/1.1\r\n${HOST}`;

/** Name, bytes, and what becomes of it: a rejection's status and reason, or some of the head. */
type Row = [
  name: string,
  head: string,
  expected: [number, string] | Partial<Record<keyof RequestHead, unknown>>,
];

function run(title: string, rows: Row[]): void {
  t.test(title, (t) => {
    for (const [name, scanner] of SCANNERS) {
      for (const [what, text, expected] of rows) {
        const bytes = Buffer.from(text, 'latin1');
        const head = new RequestParser({ scanner, connect: true }).parse(bytes, 0, bytes.length);
        if (Array.isArray(expected)) {
          const { status, reason } = (head ?? {}) as Rejection;
          t.strictSame([status, reason], expected, `${name}: ${what}`);
        } else t.match(head && plain(head as RequestHead), expected, `${name}: ${what}`);
        const side = { kind: 'request', scanner } as const;
        t.equal(changedByCuts(side, bytes, whole(side, bytes)), undefined, `${name}: ${what}, in pieces`);
      }
    }
    t.end();
  });
}

function plain(head: RequestHead | Rejection): object {
  return 'fields' in head ? { ...head, fields: [...head.fields] } : head;
}

const METHOD: [number, string] = [400, 'invalid method'];
const TARGET: [number, string] = [400, 'invalid byte in the request target'];
const FORM: [number, string] = [400, 'invalid request target'];
const AUTHORITY: [number, string] = [400, 'authority of the request target is invalid'];
const VERSION: [number, string] = [400, 'invalid HTTP version'];
const LINE_END: [number, string] = [400, 'request line without CRLF'];

run('request lines', [
  [
    'a method, a target, a version',
    `${GET}${HOST}\r\n`,
    { method: 'GET', path: '/', query: '', version: '1.1', form: 'origin' },
  ],
  ['one empty line before it', `\r\n${GET}${HOST}\r\n`, { method: 'GET', headEnd: 29 }],
  ['two empty lines before it', `\r\n\r\n${GET}${HOST}\r\n`, METHOD],
  ['a CR before it', `\r${GET}${HOST}\r\n`, [400, 'no HTTP request']],
  ['an LF before it', `\n${GET}${HOST}\r\n`, [400, 'no HTTP request']],
  ['a space before it', ` ${GET}${HOST}\r\n`, [400, 'no HTTP request']],
  ['a TLS record', '\x16\x03\x01\x02\x00', [400, 'no HTTP request']],
  ['methods keep their case', `get / HTTP/1.1\r\n${HOST}\r\n`, { method: 'get' }],
  [
    'a method of any token',
    `M-SEARCH!#$%&'*+.^_\`|~ / HTTP/1.1\r\n${HOST}\r\n`,
    { method: "M-SEARCH!#$%&'*+.^_`|~" },
  ],
  ['no token as a method', `G@T / HTTP/1.1\r\n${HOST}\r\n`, METHOD],
  ['a tab behind the method', `GET\t/ HTTP/1.1\r\n${HOST}\r\n`, METHOD],
  ['two spaces behind the method', `GET  / HTTP/1.1\r\n${HOST}\r\n`, TARGET],
  ['two spaces behind the target', `GET /  HTTP/1.1\r\n${HOST}\r\n`, VERSION],
  ['a space in the target', `GET /a b HTTP/1.1\r\n${HOST}\r\n`, VERSION],
  ['a tab in the target', `GET /a\tb HTTP/1.1\r\n${HOST}\r\n`, TARGET],
  ['a byte above 0x7E in the target', `GET /\xe9 HTTP/1.1\r\n${HOST}\r\n`, TARGET],
  ['a byte above 0x7E in the query', `GET /?\xe9 HTTP/1.1\r\n${HOST}\r\n`, TARGET],
  ['DEL in the target', `GET /\x7f HTTP/1.1\r\n${HOST}\r\n`, TARGET],
  ['NUL in the target', `GET /\0 HTTP/1.1\r\n${HOST}\r\n`, TARGET],
  ['a fragment', `GET /a#b HTTP/1.1\r\n${HOST}\r\n`, TARGET],
  ['HTTP/0.9', `GET /\r\n${HOST}\r\n`, TARGET],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', { version: '1.0', keepAlive: false, authority: '', host: '' }],
  ['a later HTTP/1', `GET / HTTP/1.2\r\n${HOST}\r\n`, { version: '1.1' }],
  ['HTTP/2.0', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [505, 'unsupported HTTP version']],
  ['HTTP/3.0', `GET / HTTP/3.0\r\n${HOST}\r\n`, [505, 'unsupported HTTP version']],
  ['HTTP/0.9 with its name', `GET / HTTP/0.9\r\n${HOST}\r\n`, [505, 'unsupported HTTP version']],
  ['a version in lower case', `GET / http/1.1\r\n${HOST}\r\n`, VERSION],
  ['a version of more digits', `GET / HTTP/1.10\r\n${HOST}\r\n`, LINE_END],
  ['a version of more digits before the dot', `GET / HTTP/01.1\r\n${HOST}\r\n`, VERSION],
  ['a version with a sign', `GET / HTTP/+1.1\r\n${HOST}\r\n`, VERSION],
  ['a version with a comma', `GET / HTTP/1,1\r\n${HOST}\r\n`, VERSION],
  ['a space behind the version', `GET / HTTP/1.1 \r\n${HOST}\r\n`, LINE_END],
  ['an LF without CR', `GET / HTTP/1.1\n${HOST}\r\n`, LINE_END],
  ['a CR without LF', `GET / HTTP/1.1\r${HOST}\r\n`, LINE_END],
  ['two CRs', `GET / HTTP/1.1\r\r\n${HOST}\r\n`, LINE_END],
]);

run('request targets', [
  ['a query', `GET /a?b=c?d HTTP/1.1\r\n${HOST}\r\n`, { path: '/a', query: '?b=c?d' }],
  ['an empty query', `GET /a? HTTP/1.1\r\n${HOST}\r\n`, { path: '/a', query: '?' }],
  [
    'a query is not normalised',
    `GET /?%zz/../%7e HTTP/1.1\r\n${HOST}\r\n`,
    { path: '/', query: '?%zz/../%7e' },
  ],
  ['the path is normalised', `GET /a/%7e/../b HTTP/1.1\r\n${HOST}\r\n`, { path: '/a/b' }],
  ['a climb above the root', `GET /a/../../b HTTP/1.1\r\n${HOST}\r\n`, [400, 'path above the root']],
  ['a malformed escape', `GET /%2 HTTP/1.1\r\n${HOST}\r\n`, [400, 'invalid percent-escape in the path']],
  ['%00', `GET /%00 HTTP/1.1\r\n${HOST}\r\n`, [400, 'NUL in the path']],
  ['no slash in front', `GET a HTTP/1.1\r\n${HOST}\r\n`, FORM],
  ['* of OPTIONS', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, { form: 'asterisk', path: '*', query: '' }],
  ['* of another method', `GET * HTTP/1.1\r\n${HOST}\r\n`, FORM],
  ['* with more', `OPTIONS *a HTTP/1.1\r\n${HOST}\r\n`, FORM],
  [
    'absolute form: its authority replaces Host',
    `GET http://A.example:81/b?c HTTP/1.1\r\n${HOST}\r\n`,
    {
      form: 'absolute',
      scheme: 'http',
      authority: 'A.example:81',
      host: 'a.example',
      path: '/b',
      query: '?c',
    },
  ],
  ['absolute form without a path', `GET http://a HTTP/1.1\r\n${HOST}\r\n`, { path: '/', query: '' }],
  ['absolute form with a query alone', `GET http://a?b HTTP/1.1\r\n${HOST}\r\n`, { path: '/', query: '?b' }],
  [
    'absolute form of OPTIONS without a path',
    `OPTIONS http://a HTTP/1.1\r\n${HOST}\r\n`,
    { form: 'absolute', path: '*' },
  ],
  ['absolute form with https', `GET HTTPS://a/ HTTP/1.1\r\n${HOST}\r\n`, { scheme: 'https' }],
  ['absolute form with an IPv6 address', `GET http://[::1]:80/ HTTP/1.1\r\n${HOST}\r\n`, { host: '[::1]' }],
  ['absolute form, but no Host', `GET http://a/ HTTP/1.1\r\n\r\n`, [400, 'no Host']],
  [
    'absolute form, but an invalid Host',
    `GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n`,
    [400, 'invalid Host'],
  ],
  ['absolute form with user information', `GET http://u@a/ HTTP/1.1\r\n${HOST}\r\n`, AUTHORITY],
  ['absolute form with a backslash', `GET http://a\\@b/ HTTP/1.1\r\n${HOST}\r\n`, AUTHORITY],
  ['absolute form with an empty host', `GET http:///a HTTP/1.1\r\n${HOST}\r\n`, AUTHORITY],
  ['absolute form with another scheme', `GET ftp://a/ HTTP/1.1\r\n${HOST}\r\n`, FORM],
  ['absolute form with one slash', `GET http:/a HTTP/1.1\r\n${HOST}\r\n`, FORM],
  ['authority form of GET', `GET a:80 HTTP/1.1\r\n${HOST}\r\n`, FORM],
  [
    'authority form of CONNECT',
    `CONNECT a:443 HTTP/1.1\r\n${HOST}\r\n`,
    { form: 'authority', authority: 'a:443', host: 'a', path: '' },
  ],
  ['CONNECT without a port', `CONNECT a HTTP/1.1\r\n${HOST}\r\n`, AUTHORITY],
  ['CONNECT with a path', `CONNECT /a HTTP/1.1\r\n${HOST}\r\n`, AUTHORITY],
  ['CONNECT in absolute form', `CONNECT http://a:80/ HTTP/1.1\r\n${HOST}\r\n`, AUTHORITY],
  ['TRACE', `TRACE / HTTP/1.1\r\n${HOST}\r\n`, [405, 'method not allowed']],
]);

const NAME: [number, string] = [400, 'invalid field name'];
const VALUE: [number, string] = [400, 'invalid field value'];
const FIELD_END: [number, string] = [400, 'field line without CRLF'];
const FOLDED: [number, string] = [400, 'folded field line'];
const fields = (lines: string) => `${GET}${HOST}${lines}\r\n`;
const gives = (...pairs: [string, string][]) => ({ fields: pairs });

run('field lines', [
  ['white space around a value', fields('A: \t b c\t \r\n'), gives(['a', 'b c'])],
  ['none', fields('A:b\r\n'), gives(['a', 'b'])],
  ['an empty value', fields('A:\r\nB: \t\r\n'), gives(['a', ''], ['b', ''])],
  [
    'every byte of a value',
    fields('A: \x21\x7e\x80\xff\x09 \xa0\r\n'),
    gives(['a', '\x21\x7e\x80\xff\x09 \xa0']),
  ],
  ['every byte of a name', fields("!#$%&'*+-.^_`|~09AZaz: b\r\n"), gives(["!#$%&'*+-.^_`|~09azaz", 'b'])],
  [
    'lines of one name keep their order',
    fields('A: 1\r\nB: 2\r\na: 3\r\n'),
    gives(['a', '1'], ['b', '2'], ['a', '3']),
  ],
  ['a colon in a value', fields('A: :b:\r\n'), gives(['a', ':b:'])],
  ['no name', fields(': b\r\n'), NAME],
  ['no colon', fields('A\r\n'), NAME],
  ['a space before the colon', fields('A : b\r\n'), NAME],
  ['a tab before the colon', fields('A\t: b\r\n'), NAME],
  ['a space in a name', fields('A B: c\r\n'), NAME],
  ['a byte above 0x7F in a name', fields('\xc4: b\r\n'), NAME],
  ['NUL in a name', fields('A\0: b\r\n'), NAME],
  ['brackets in a name', fields('A[]: b\r\n'), NAME],
  ['a space before the first name', `${GET} A: b\r\n${HOST}\r\n`, FOLDED],
  ['a folded line', fields('A: b\r\n c\r\n'), FOLDED],
  ['a folded line with a tab', fields('A: b\r\n\tc\r\n'), FOLDED],
  ['a folded line that is empty', fields('A: b\r\n \r\n'), FOLDED],
  ['NUL in a value', fields('A: \0\r\n'), VALUE],
  ['a control character in a value', fields('A: b\x1fc\r\n'), VALUE],
  ['DEL in a value', fields('A: b\x7f\r\n'), VALUE],
  ['an LF without CR', fields('A: b\nC: d\r\n'), FIELD_END],
  ['a CR without LF', fields('A: b\rC: d\r\n'), FIELD_END],
  ['two CRs', fields('A: b\r\r\n'), FIELD_END],
  ['a CR within a name', fields('A\rB: c\r\n'), NAME],
  ['an LF as the empty line', `${GET}${HOST}\n`, FIELD_END],
  ['a CR and something else as the empty line', `${GET}${HOST}\rA: b\r\n\r\n`, FIELD_END],
]);

const ONE_HOST: [number, string] = [400, 'more than one Host'];
const BAD_HOST: [number, string] = [400, 'invalid Host'];
const host = (value: string) => `${GET}Host:${value}\r\n\r\n`;

run('Host', [
  [
    'a name with a port',
    host(' Example.COM:8080'),
    { authority: 'Example.COM:8080', host: 'example.com', fields: [] },
  ],
  ['a trailing dot', host(' a.example.'), { host: 'a.example' }],
  ['an address', host(' 127.0.0.1'), { host: '127.0.0.1' }],
  ['an IPv6 address', host(' [2001:DB8::1]:80'), { host: '[2001:db8::1]' }],
  ['none', `${GET}\r\n`, [400, 'no Host']],
  ['none in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', { host: '' }],
  ['one in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n', { host: 'a' }],
  ['two', `${GET}${HOST}Host: g\r\n\r\n`, ONE_HOST],
  ['two of one value', `${GET}${HOST}${HOST}\r\n`, ONE_HOST],
  ['two in HTTP/1.0', `GET / HTTP/1.0\r\n${HOST}host: h\r\n\r\n`, ONE_HOST],
  ['an empty one', host(''), BAD_HOST],
  ['a list', host(' a, b'), BAD_HOST],
  ['a port alone', host(' :80'), BAD_HOST],
  ['user information', host(' u@a'), BAD_HOST],
  ['a path', host(' a/b'), BAD_HOST],
  ['an invalid one in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a b\r\n\r\n', BAD_HOST],
]);

run('Connection and hop-by-hop fields', [
  ['HTTP/1.1 stays', fields(''), { keepAlive: true }],
  ['close', fields('Connection: close\r\n'), { keepAlive: false, fields: [] }],
  ['in any case', fields('Connection: CLOSE\r\n'), { keepAlive: false }],
  [
    'close among others, on another line',
    fields('Connection: a\r\nConnection: b, close ,keep-alive\r\n'),
    { keepAlive: false },
  ],
  ['keep-alive', 'GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n', { keepAlive: true }],
  ['keep-alive and close', 'GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n', { keepAlive: false }],
  ['fields that it names', fields('A: 1\r\nB: 2\r\nConnection: a\r\na: 3\r\n'), gives(['b', '2'])],
  [
    'known fields that it names',
    fields('Cookie: 1\r\nConnection: cookie, x-real-ip\r\nX-Real-IP: 3\r\n'),
    gives(),
  ],
  [
    'hop-by-hop fields',
    fields('Keep-Alive: timeout=1\r\nProxy-Connection: a\r\nTE: gzip\r\nUpgrade: a\r\n'),
    gives(),
  ],
  [
    'TE: trailers',
    fields('Connection: TE\r\nTE: gzip;q=0.5, Trailers\r\nA: 1\r\n'),
    gives(['a', '1'], ['te', 'trailers']),
  ],
  ['TE: trailers of another kind', fields('TE: trailers;q=0\r\nTE: xtrailers\r\n'), gives()],
  ['Trailer stays', fields('Trailer: a\r\n'), gives(['trailer', 'a'])],
  ['empty elements', fields('Connection: , close,,\r\n'), { keepAlive: false }],
  ['an element that is no token', fields('Connection: close, a b\r\n'), [400, 'invalid Connection']],
  ['names Host', fields('Connection: Host\r\n'), [400, 'Connection names Host or Content-Length']],
  [
    'names Content-Length',
    fields('Connection: close, content-length\r\n'),
    [400, 'Connection names Host or Content-Length'],
  ],
  [
    'an upgrade',
    fields('Connection: Upgrade\r\nUpgrade: websocket\r\n'),
    { upgrade: 'websocket', fields: [] },
  ],
  ['an upgrade that Connection does not name', fields('Upgrade: websocket\r\n'), { upgrade: undefined }],
  [
    'an upgrade of HTTP/1.0',
    'GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n',
    { upgrade: undefined },
  ],
  [
    'Expect',
    fields('Expect: 100-Continue\r\n'),
    { expectsContinue: true, fields: [['expect', '100-Continue']] },
  ],
  ['another expectation', fields('Expect: a\r\n'), { expectsContinue: false }],
  ['Expect in HTTP/1.0', 'GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n', { expectsContinue: false }],
]);

const LENGTH: [number, string] = [400, 'invalid Content-Length'];
const LENGTHS: [number, string] = [400, 'more than one Content-Length'];
const CODING: [number, string] = [400, 'invalid Transfer-Encoding'];
const CODINGS: [number, string] = [400, 'more than one Transfer-Encoding'];
const BOTH: [number, string] = [400, 'Content-Length and Transfer-Encoding'];
const length = (value: string) => `${POST}Content-Length:${value}\r\n\r\n`;
const coding = (value: string) => `${POST}Transfer-Encoding:${value}\r\n\r\n`;

run('framing', [
  ['no body', `${POST}\r\n`, { contentLength: undefined, chunked: false }],
  ['a length', length(' 42 '), { contentLength: 42, fields: [] }],
  ['zeros in front', length(' 0042'), { contentLength: 42 }],
  ['the greatest length', length(' 9007199254740991'), { contentLength: 2 ** 53 - 1 }],
  ['2^53', length(' 9007199254740992'), LENGTH],
  ['more', length(' 90071992547409910000000000'), LENGTH],
  ['a sign', length(' +1'), LENGTH],
  ['a negative one', length(' -1'), LENGTH],
  ['hexadecimal', length(' 0x1'), LENGTH],
  ['a fraction', length(' 1.0'), LENGTH],
  ['a list', length(' 1, 1'), LENGTH],
  ['a space within', length(' 1 1'), LENGTH],
  ['an empty one', length(''), LENGTH],
  ['other digits', length(' \xb2'), LENGTH],
  ['two', `${POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, LENGTHS],
  ['two of one value', `${POST}Content-Length: 1\r\ncontent-length: 1\r\n\r\n`, LENGTHS],
  ['chunked', coding(' chunked'), { chunked: true, contentLength: undefined, fields: [] }],
  ['in any case', coding(' ChunKed'), { chunked: true }],
  ['with a length', `${POST}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n`, BOTH],
  ['with a length before it', `${POST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, BOTH],
  [
    'in HTTP/1.0',
    'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n',
    [400, 'Transfer-Encoding in HTTP/1.0'],
  ],
  ['a known coding before it', coding(' gzip, chunked'), [501, 'unsupported transfer coding']],
  ['two known codings before it', coding(' x-gzip,Deflate , chunked'), [501, 'unsupported transfer coding']],
  ['an unknown coding before it', coding(' a, chunked'), CODING],
  ['identity before it', coding(' identity, chunked'), CODING],
  ['a coding alone', coding(' gzip'), CODING],
  ['identity', coding(' identity'), CODING],
  ['a coding behind it', coding(' chunked, gzip'), CODING],
  ['twice', coding(' chunked, chunked'), CODING],
  ['on two lines', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`, CODINGS],
  [
    'two codings on two lines',
    `${POST}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n`,
    CODING,
  ],
  ['a parameter', coding(' chunked;a=b'), CODING],
  ['a quoted one', coding(' "chunked"'), CODING],
  ['an empty one', coding(''), CODING],
  ['an empty element before it', coding(' , chunked'), CODING],
  ['an empty element behind it', coding(' chunked,'), CODING],
  ['a byte 0xA0 before it', coding(' \xa0chunked'), CODING],
]);

t.test('limits', (t) => {
  const limits = { line: 30, section: 40, fields: 2 };
  const rejected: Record<string, number | undefined> = {
    [`GET /${'a'.repeat(14)} HTTP/1.1\r\nHost: h\r\n\r\n`]: undefined,
    [`GET /${'a'.repeat(15)} HTTP/1.1\r\nHost: h\r\n\r\n`]: 414,
    [`GET /${'a'.repeat(30)}`]: 414,
    [`${GET}${HOST}A: ${'a'.repeat(24)}\r\n\r\n`]: undefined,
    [`${GET}${HOST}A: ${'a'.repeat(25)}\r\n\r\n`]: 431,
    [`${GET}${HOST}A: ${'a'.repeat(40)}`]: 431,
    [`${GET}${HOST}A: b\r\n\r\n`]: undefined,
    [`${GET}${HOST}A: b\r\nC: d\r\n\r\n`]: 431,
  };
  for (const [name, scanner] of SCANNERS) {
    for (const [text, status] of Object.entries(rejected)) {
      const bytes = Buffer.from(text);
      const head = new RequestParser({ limits, scanner }).parse(bytes, 0, bytes.length);
      t.equal((head as Rejection).status, status, `${name}: ${JSON.stringify(text)}`);
      const parser = new RequestParser({ limits, scanner });
      let last: unknown;
      for (let end = 1; end <= bytes.length && last === undefined; end++) last = parser.parse(bytes, 0, end);
      t.equal((last as Rejection).status, status, `${name}: ${JSON.stringify(text)}, in single bytes`);
    }
  }
  const filled = (count: number) => Buffer.from(`${GET}${HOST}${'A: b\r\n'.repeat(count - 1)}\r\n`);
  const parse = (bytes: Buffer) => (parseRequestHead(bytes, 0, bytes.length) as Rejection).status;
  t.equal(parse(filled(100)), undefined, '100 fields');
  t.equal(parse(filled(101)), 431, '101 fields');
  const lined = (length: number) => Buffer.from(`GET /${'a'.repeat(length - 16)} HTTP/1.1\r\n${HOST}\r\n`);
  t.equal(parse(lined(8192)), undefined, 'a line of 8 KiB');
  t.equal(parse(lined(8193)), 414, 'a longer line');
  const sized = (length: number) => Buffer.from(`${GET}${HOST}A: ${'a'.repeat(length - 16)}\r\n\r\n`);
  t.equal(parse(sized(32_768)), undefined, 'a section of 32 KiB');
  t.equal(parse(sized(32_769)), 431, 'a longer section');
  t.end();
});

t.test('CONNECT and TRACE are not allowed', (t) => {
  for (const line of ['CONNECT a:443', 'TRACE /']) {
    const bytes = Buffer.from(`${line} HTTP/1.1\r\n${HOST}\r\n`);
    t.match(parseRequestHead(bytes, 0, bytes.length), {
      status: 405,
      allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
    });
  }
  t.end();
});

t.test('no byte is looked at again and again', (t) => {
  for (const [name, scanner] of SCANNERS) {
    let scanned = 0;
    const counting = {
      get at() {
        return scanner.at;
      },
      get known() {
        return scanner.known;
      },
      get rows() {
        return scanner.rows;
      },
      scan(...args: Parameters<typeof scanner.scan>) {
        scanned += args[2] - args[1];
        return scanner.scan(...args);
      },
    };
    const parser = new RequestParser({ scanner: counting });
    const bytes = Buffer.from(`${GET}${HOST}${`A: ${'a'.repeat(997)}\r\n`.repeat(30)}\r\n`);
    for (let end = 1; end < bytes.length; end++) parser.parse(bytes, 0, end);
    t.ok(parser.parse(bytes, 0, bytes.length));
    t.ok(scanned < 2 * bytes.length, `${name}: ${scanned} of ${bytes.length}`);
  }
  t.end();
});

t.test('request lines that come in the same memory, one after the other, are told apart', (t) => {
  // Received bytes are a Buffer, of which slice() is a view.
  const memory = Buffer.alloc(256);
  const parser = new RequestParser();
  for (const [method, version] of [
    ['GET', '1.1'],
    ['PUT', '1.1'],
    ['GET', '1.0'],
    ['PUT', '1.0'],
    ['GET', '1.1'],
  ] as const) {
    const length = memory.write(`${method} /the/same/path HTTP/${version}\r\nHost: a\r\n\r\n`);
    const head = parser.parse(memory, 0, length);
    t.match(head, { method, version, path: '/the/same/path' });
  }
  t.end();
});
