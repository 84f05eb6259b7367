import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { changedByCuts, SCANNERS, whole } from './exchange.js';

const folder = process.env.MPROXY_TEST_DATA;

interface Case {
  title: string;
  bytes: string;
  llhttp: string;
}

function cases<T>(name: string): T[] {
  return JSON.parse(readFileSync(join(folder!, 'http', name), 'utf8')).cases;
}

const NO_HTTP = 'another protocol';
const FRAGMENT = 'a fragment is no part of a target (RFC 9112, section 3.2)';
const EMPTY_LINES = 'an empty line before a response is no part of it';

/** What llhttp accepts and we reject, by title, and why. */
const STRICTER: Record<string, string> = {
  'M-SEARCH request': '`*` only with OPTIONS',
  'SOURCE request with ICE': NO_HTTP,
  'OPTIONS request with RTSP': NO_HTTP,
  'ANNOUNCE request with RTSP': NO_HTTP,
  'RTSP response': NO_HTTP,
  'ICE response': NO_HTTP,
  'CRLF between requests, implicit `keep-alive`': 'one empty line before a request is ignored, not two',
  'Should parse multiple events': EMPTY_LINES,
  'curl GET': '`0.0.0.0=5000` is no host with a port',
  'Firefox GET': '`0.0.0.0=5000` is no host with a port',
  'No HTTP version': 'HTTP/0.9',
  'HTTP version 0.9': 'HTTP/0.9',
  'POST with `chunked` as last transfer-encoding': FRAGMENT,
  'POST with `chunked` as last transfer-encoding (multiple headers)': FRAGMENT,
  'Fragment in URI': FRAGMENT,
  '`host:port` and basic auth': 'user information in a target (RFC 9110, section 4.2.4)',
  'HTTP 304 with Content-Length': EMPTY_LINES,
  'HTTP 100 first, then 400': EMPTY_LINES,
  'Response starting with CRLF': EMPTY_LINES,
  '`chunked` before other transfer-encoding': 'only `chunked` alone',
  'multiple transfer-encoding where chunked is not the last one': 'one Transfer-Encoding',
  '`chunkedchunked` transfer-encoding does not enable chunked enconding': 'only `chunked` alone',
};

const WAITS = 'it is judged when the line, or the head, is whole';

/** What llhttp rejects and we do not, by title, and why. */
const LAXER: Record<string, string> = {
  'Error on `Content-Length` overflow': WAITS,
  'Error on duplicate `Content-Length`': WAITS,
  'Missing CRLF-CRLF before body': WAITS,
  'Invalid HTTP version': WAITS,
  'Invalid space after start line': WAITS,
  'HTTP protocol and ANNOUNCE method': 'every token is a method',
  'Invalid method': 'every token is a method',
};
/** llhttp stops here, which is no rejection: what follows is no part of the connection's HTTP, or is not read. */
const STOPS = /^error: (Pause on CONNECT\/Upgrade|Data after `Connection: close`)/;

/** Most of the cases have no Host, for which we would reject them all. */
function withHost(bytes: string): string {
  return /\nhost *:/i.test(bytes)
    ? bytes
    : bytes.replace(/(^|\n)([\w-]+ [^\r\n]* HTTP\/1\.1\r\n)/g, '$1$2Host: h\r\n');
}

const skip = folder ? false : 'MPROXY_TEST_DATA is not set';

for (const kind of ['request', 'response'] as const) {
  t.test(`llhttp's ${kind}s`, { skip }, (t) => {
    for (const [name, scanner] of SCANNERS) {
      for (const one of cases<Case>(`llhttp-${kind}.json`)) {
        const bytes = Buffer.from(kind === 'request' ? withHost(one.bytes) : one.bytes, 'latin1');
        const events = whole({ kind, scanner }, bytes);
        const isRejected = events.at(-1)!.startsWith('rejected');
        const title = `${name}: ${one.title}: ${events.at(-1)}`;
        if (!STOPS.test(one.llhttp) && isRejected === (one.llhttp === 'accepts'))
          t.ok((isRejected ? STRICTER : LAXER)[one.title], `${title} (llhttp: ${one.llhttp})`);
        t.equal(changedByCuts({ kind, scanner }, bytes, events), undefined, `${title}, in pieces`);
      }
    }
    t.end();
  });
}

interface H1Case {
  request: string;
  desc: string;
  /** From and to; -1: the server waits. */
  status: [number, number][];
}

const UNESCAPED: Record<string, string> = { r: '\r', n: '\n', t: '\t' };

function hex(what: string): string {
  return String.fromCharCode(Number.parseInt(what.slice(1), 16));
}

t.test('h1spec', { skip }, (t) => {
  for (const [name, scanner] of SCANNERS) {
    for (const { request, desc, status } of cases<H1Case>('h1spec.json')) {
      const text = request.replace(/\\(r|n|t|x..)/g, (_, what: string) => UNESCAPED[what] ?? hex(what));
      const bytes = Buffer.from(text, 'latin1');
      const events = whole({ kind: 'request', scanner }, bytes);
      const code = Number(
        /^rejected: (\d+)/.exec(events.at(-1)!)?.[1] ?? (/^waits/.test(events[0]!) ? -1 : 200),
      );
      t.ok(
        status.some(([least, most]) => code >= least && code <= most),
        `${name}: ${desc}: ${events.at(-1)}`,
      );
      t.equal(changedByCuts({ kind: 'request', scanner }, bytes, events), undefined, `${desc}, in pieces`);
    }
  }
  t.end();
});

/** The lines that are fields of another name: what looks like a Transfer-Encoding is within their values. */
const VALUES = ['xprespace 09', 'xprespace 20', 'xprespace a0', 'xprespace ff'];

t.test('fields like Transfer-Encoding beside a Content-Length', { skip }, (t) => {
  for (const [scannerName, scanner] of SCANNERS) {
    const accepted: string[] = [];
    for (const { name, field } of cases<{ name: string; field: string }>('transfer-encoding.json')) {
      const message = `POST / HTTP/1.1\r\n${field}\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello`;
      const bytes = Buffer.from(message, 'latin1');
      const events = whole({ kind: 'request', scanner }, bytes);
      if (!events[0]!.startsWith('rejected: 400')) {
        accepted.push(name);
        t.strictSame(events.slice(1), ['body: hello', 'waits for a head'], name);
        t.match(events[0], /"fields":\[\["x","X.{1,2}Transfer-Encoding: chunked"\]\]/, name);
      }
      t.equal(changedByCuts({ kind: 'request', scanner }, bytes, events), undefined, `${name}, in pieces`);
    }
    t.strictSame(accepted, VALUES, scannerName);
  }
  t.end();
});
