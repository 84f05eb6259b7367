import {
  dateLine,
  Fields,
  type Framing,
  formatForwarded,
  httpDate,
  isFieldValue,
  isToken,
  parseForwarded,
  parseHttpDate,
  parseTokens,
  parseTransferEncoding,
  type RequestHead,
  RequestParser,
  viaElement,
  writeRequestHead,
  writeResponseHead,
} from 'mproxy-http';
import t from 'tap';

const target = Buffer.alloc(2000, '!');

function request(framing: Framing, connection?: string): string {
  const fields = Fields.of({ accept: 'a' });
  const end = writeRequestHead(target, 5, 'POST', '/a', '?b', 'h:80', fields, framing, connection);
  return target.toString('latin1', 5, end);
}

t.test('heads of requests', (t) => {
  const start = 'POST /a?b HTTP/1.1\r\nHost: h:80\r\naccept: a\r\n';
  t.equal(request(undefined), `${start}\r\n`);
  t.equal(request(0), `${start}Content-Length: 0\r\n\r\n`);
  t.equal(
    request(2 ** 53 - 1, 'close'),
    `${start}Content-Length: 9007199254740991\r\nConnection: close\r\n\r\n`,
  );
  t.equal(request('chunked'), `${start}Transfer-Encoding: chunked\r\n\r\n`);
  t.end();
});

t.test('heads of requests that were received', (t) => {
  const sentOn = (head: string) => {
    const bytes = Buffer.from(head);
    const { method, path, query, authority, fields } = new RequestParser().parse(
      bytes,
      0,
      bytes.length,
    ) as RequestHead;
    const end = writeRequestHead(target, 0, method, path, query, authority, fields, undefined);
    return target.toString('latin1', 0, end);
  };
  const expected = 'GET /a?b HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n';
  for (const head of [
    expected,
    // Each program has a version of its own (RFC 9112, section 2.3).
    'GET /a?b HTTP/1.2\r\nHost: h\r\nA: b\r\n\r\n',
    'GET /a?b HTTP/1.9\r\nHost: h\r\nA: b\r\n\r\n',
    'GET /a?b HTTP/1.0\r\nHost: h\r\nA: b\r\n\r\n',
    'GET /x/../%61?b HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n',
    'GET http://h/a?b HTTP/1.1\r\nHost: other\r\nA: b\r\n\r\n',
    'GET /a?b HTTP/1.1\r\nA: b\r\nHost: h\r\n\r\n',
    'GET /a?b HTTP/1.1\r\nHost: h\r\nConnection: x\r\nX: y\r\nA: b\r\n\r\n',
  ])
    t.equal(sentOn(head), expected, head);
  t.end();
});

t.test('heads of responses', (t) => {
  const write = (status: number, framing: Framing, date?: Uint8Array, connection?: string) =>
    target.toString(
      'latin1',
      1,
      writeResponseHead(target, 1, status, Fields.of({ a: 'b' }), framing, date, connection),
    );
  t.equal(write(200, 3), 'HTTP/1.1 200 OK\r\na: b\r\nContent-Length: 3\r\n\r\n');
  t.equal(write(599, 'chunked'), 'HTTP/1.1 599 \r\na: b\r\nTransfer-Encoding: chunked\r\n\r\n');
  t.equal(
    write(404, undefined, dateLine(784_111_777_999), 'close'),
    'HTTP/1.1 404 Not Found\r\na: b\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\n',
  );
  t.end();
});

t.test('heads that do not fit are not written', (t) => {
  const fields = Fields.of({ a: 'b'.repeat(300) });
  for (const size of [0, 100, 300, 430]) {
    const small = Buffer.alloc(size, '!');
    t.equal(writeRequestHead(small, 0, 'GET', '/', '', 'h', fields, 1, 'close'), -1);
    t.equal(writeResponseHead(small, 0, 200, fields, 1, undefined, 'close'), -1);
    t.ok(small.every((byte) => byte === 0x21));
  }
  for (let size = 0; size < 600; size++) {
    const bytes = Buffer.alloc(size);
    const end = writeRequestHead(bytes, 0, 'GET', '/', '', 'h', fields, Number.MAX_SAFE_INTEGER, 'close');
    if (end > size) t.fail(`${end} bytes in ${size}`);
  }
  t.end();
});

t.test('dates', (t) => {
  const time = 784_111_777_000;
  t.equal(httpDate(time + 999), 'Sun, 06 Nov 1994 08:49:37 GMT');
  t.equal(httpDate(time + 1000), 'Sun, 06 Nov 1994 08:49:38 GMT');
  const now = Date.UTC(2026, 0, 1);
  t.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), time);
  t.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT', now), time);
  t.equal(parseHttpDate('Sun Nov  6 08:49:37 1994'), time);
  t.equal(
    parseHttpDate('Friday, 06-Nov-76 00:00:00 GMT', now),
    Date.UTC(2076, 10, 6),
    'at most 50 years ahead',
  );
  t.equal(parseHttpDate('Saturday, 06-Nov-77 00:00:00 GMT', now), Date.UTC(1977, 10, 6));
  t.equal(parseHttpDate('Sat, 01 Jan 0050 00:00:00 GMT'), -60_589_296_000_000, 'a year of four digits');
  const invalid = [
    '',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
  ];
  const more = [
    'Sun, 31 Feb 1994 08:49:37 GMT',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Sun, 06 Abc 1994 08:49:37 GMT',
    '1994-11-06',
  ];
  for (const text of [...invalid, ...more]) t.equal(parseHttpDate(text), undefined, text);
  t.end();
});

t.test('Forwarded', (t) => {
  const elements: Record<string, object[]> = {
    'for=192.0.2.60;proto=http;by=203.0.113.43': [{ for: '192.0.2.60', proto: 'http', by: '203.0.113.43' }],
    'For="[2001:db8:cafe::17]:4711"': [{ for: '[2001:db8:cafe::17]:4711' }],
    'for=a, for="b,\\"c;" ;secret=d,\thost=e': [{ for: 'a' }, { for: 'b,"c;' }, { host: 'e' }],
    'for=_hidden': [{ for: '_hidden' }],
  };
  for (const [value, expected] of Object.entries(elements))
    t.strictSame(parseForwarded(value), expected, value);
  for (const value of [
    '',
    'for',
    'for=',
    'for=a;',
    'for=a,',
    'for=a;for=b',
    'for="a',
    'for=a b',
    'for=[::1]',
    '=a',
    'for=a;;by=b',
    '__proto__=a;__proto__=b',
  ])
    t.equal(parseForwarded(value), undefined, value);
  const element = { for: '[::1]:80', host: 'a"b\\c', proto: 'https', by: '_x' };
  t.equal(formatForwarded(element), 'for="[::1]:80";by=_x;host="a\\"b\\\\c";proto=https');
  t.strictSame(parseForwarded(formatForwarded(element)), [element]);
  t.throws(() => formatForwarded({ for: 'a\r\nb' }), RangeError);
  t.equal(viaElement('1.0'), '1.0 mproxy');
  t.end();
});

t.test('field rules', (t) => {
  t.strictSame(['a', "!#$%&'*+-.^_`|~", '', 'a b', 'a,', '\xe9', 'Ā'].map(isToken), [
    true,
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
  const values = ['', 'a', 'a b\tc', '\xff', ' a', 'a\t', '\n', '\x7f', 'Ā'];
  t.strictSame(values.map(isFieldValue), [true, true, true, true, false, false, false, false, false]);
  t.strictSame(parseTokens('a, B ,,\tc'), ['a', 'b', 'c']);
  t.equal(parseTokens('a, b c'), undefined);
  t.equal(parseTokens('a, \xa0b'), undefined);
  t.equal(parseTransferEncoding('CHUNKED'), 'chunked');
  t.equal(parseTransferEncoding('gzip\t,chunked'), 'unsupported');
  t.end();
});
